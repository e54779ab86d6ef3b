"""Every kind of event we know, one file a topic."""

from eventbus.events.agent import AgentSpawned
from eventbus.events.app import AppStarted, AppStopped
from eventbus.events.backup import BackupFinished
from eventbus.events.bus import BusEnded, BusOpened, GapLeft, LineErased, Recovered, StatsTaken
from eventbus.events.channel import ChannelMessage
from eventbus.events.command import BuildFinished, CommandFinished, CommandStarted
from eventbus.events.conversation import ConversationEnded, ConversationStarted, TurnTaken
from eventbus.events.dispatch import DispatchError, DispatchFinished, DispatchRefused, DispatchTool
from eventbus.events.error import ErrorRaised, IoFailed, ReloadFailed, ToolErrored, ValidationFailed
from eventbus.events.file import DirectoryMade, FileDeleted, FileWritten
from eventbus.events.heartbeat import Beat, CronRan, JobRun
from eventbus.events.llm import ModelAnswered, ModelAsked, ModelFailed, Usage
from eventbus.events.log import LogIngested, LogLine, Scalar
from eventbus.events.relevance import RelevanceCacheHit, RelevanceScored
from eventbus.events.seal import LinesErased
from eventbus.events.session import (
    SessionCreated,
    SessionEnded,
    SessionResumed,
    SnapshotDiscarded,
    SnapshotSaved,
)
from eventbus.events.state import StateBootstrapped, StateRead, StateReady, StateWritten
from eventbus.events.storage import StorageMeasured
from eventbus.events.system import DiskLow, LogRotated, MemoryHigh
from eventbus.events.task import Alternative, RouteChosen, TaskFinished, TaskRated
from eventbus.events.traces import ToolFinished, ToolStarted, ToolUpdated
from eventbus.events.watch import WatchBurst, WatchGap
from eventbus.events.websocket import ViewerJoined, ViewerLeft
from eventbus.events.worker import WorkerFailed, WorkerFinished

__all__ = [
    "AgentSpawned",
    "Alternative",
    "AppStarted",
    "AppStopped",
    "BackupFinished",
    "Beat",
    "BuildFinished",
    "BusEnded",
    "BusOpened",
    "ChannelMessage",
    "CommandFinished",
    "CommandStarted",
    "ConversationEnded",
    "ConversationStarted",
    "CronRan",
    "DirectoryMade",
    "DiskLow",
    "DispatchError",
    "DispatchFinished",
    "DispatchRefused",
    "DispatchTool",
    "ErrorRaised",
    "FileDeleted",
    "FileWritten",
    "GapLeft",
    "IoFailed",
    "JobRun",
    "LineErased",
    "LinesErased",
    "LogIngested",
    "LogLine",
    "LogRotated",
    "MemoryHigh",
    "ModelAnswered",
    "ModelAsked",
    "ModelFailed",
    "Recovered",
    "RelevanceCacheHit",
    "RelevanceScored",
    "ReloadFailed",
    "RouteChosen",
    "Scalar",
    "SessionCreated",
    "SessionEnded",
    "SessionResumed",
    "SnapshotDiscarded",
    "SnapshotSaved",
    "StateBootstrapped",
    "StateRead",
    "StateReady",
    "StateWritten",
    "StatsTaken",
    "StorageMeasured",
    "TaskFinished",
    "TaskRated",
    "ToolErrored",
    "ToolFinished",
    "ToolStarted",
    "ToolUpdated",
    "TurnTaken",
    "Usage",
    "ValidationFailed",
    "ViewerJoined",
    "ViewerLeft",
    "WatchBurst",
    "WatchGap",
    "WorkerFailed",
    "WorkerFinished",
]
