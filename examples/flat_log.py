"""Log lines from anywhere, with nothing set up: what an agent does, and where it failed.

Run it twice: the second run reads what the first one left.
"""

from datetime import datetime, timedelta

from eventbus import flat_log_path, get_log_text, log_event, logged, read_log, set_session


@logged("tools")
def divide(one: float, other: float) -> float:
    """A tool that fails at times; the log has each failure."""
    return one / other


def main() -> None:
    """Do a little, and read it back."""
    begun = datetime.now().astimezone()
    set_session(f"run-{begun:%H%M%S}")
    log_event("app:start", "main", version="1.0")
    for other in (4, 2, 0):
        try:
            log_event("tool:finish", "tools", "divided", result=divide(8, other))
        except ZeroDivisionError:
            log_event("conversation:end", "main", "the tool gave up", after=other)

    print(f"{flat_log_path().name} says of this run:\n{get_log_text(since=begun)}")
    yesterday = datetime.now().astimezone() - timedelta(days=1)
    errors = read_log(since=yesterday, event_types=["error:*"])
    print(f"errors since yesterday: {len(errors)}, the last one: {errors[-1]['message']}")


if __name__ == "__main__":
    main()
