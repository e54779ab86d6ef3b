"""Channel messages: what came in from users and went out to them."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from eventbus.event import Event
from eventbus.events.channel import ChannelMessage
from eventbus.store.engine import Reader, Writer
from eventbus.store.pages import Page
from eventbus.store.topic import Topic, order_key, stamp, whole
from eventbus.store.walking import Walk, as_struct, walk

__all__ = ["TOPIC", "Message", "messages"]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message that came in or went out."""

    event_id: str
    ts: str
    direction: str
    """`in` or `out`."""
    channel: str
    user_id: str | None
    length: int | None
    preview: str | None
    session_id: str | None
    chat_id: str | None


_COLUMNS = Message.__struct_fields__

TABLES = (
    """CREATE TABLE channel_messages (
        as_of TEXT NOT NULL PRIMARY KEY,
        event_id TEXT NOT NULL, ts TEXT NOT NULL,
        direction TEXT NOT NULL, channel TEXT NOT NULL, user_id TEXT,
        length {integer}, preview TEXT, session_id TEXT, chat_id TEXT){strict}""",
    "CREATE INDEX idx_channel_messages_channel ON channel_messages (channel, as_of)",
    "CREATE INDEX idx_channel_messages_chat ON channel_messages (chat_id, as_of)",
    "CREATE INDEX idx_channel_messages_session ON channel_messages (session_id, as_of)",
)


def land(writer: Writer, events: Sequence[Event]) -> None:
    """Keep each message as a row."""
    writer.insert(
        f"channel_messages (as_of, {', '.join(_COLUMNS)})",
        [
            (
                order_key(event),
                event.id,
                stamp(event.ts),
                event.direction,
                event.channel,
                event.user or event.scope.user,
                whole(event.length),
                event.preview,
                event.scope.session,
                event.scope.chat,
            )
            for event in events
            if isinstance(event, ChannelMessage)
        ],
    )


TOPIC = Topic(name="messages", tables=TABLES, events=(ChannelMessage,), land=land)

# --- questions ---------------------------------------------------------------------

_MESSAGES = Walk(columns=", ".join(_COLUMNS), source="channel_messages", is_newest_first=True)
_message = as_struct(Message)


def messages(
    store: Reader,
    *,
    channel: str | None = None,
    chat_id: str | None = None,
    session_id: str | None = None,
    user: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[Message]:
    """Messages, newest first: of a channel, a chat, a session, a user, or all."""
    way = _MESSAGES.within("as_of", since, until).where(
        channel=channel, chat_id=chat_id, session_id=session_id, user_id=user
    )
    return walk(store, way, limit=limit, cursor=cursor, read=_message)
