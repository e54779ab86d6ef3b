"""A function of any kind, each call of it inside a block of its own."""

from collections.abc import AsyncGenerator, Callable, Generator
from functools import partial, wraps
from types import TracebackType
from typing import Any, Protocol

__all__ = ["Begin", "Block", "called_in", "is_function", "name_of"]


class Block(Protocol):
    """What is around one call; while a generator waits to go on, it is paused."""

    def __enter__(self) -> Any: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
    def output(self, value: Any, /) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


Begin = Callable[[tuple[Any, ...], dict[str, Any]], Block]
"""Makes the block of a call from its arguments."""


def called_in(function: Any, begin: Begin) -> Any:
    """The same function, of the same kind, each call of it in a block.

    Plain and async functions, generators of both, methods, and what
    `staticmethod` and `classmethod` make. A generator's call begins with its
    first step and ends with its last, however it is ended.
    """
    import inspect  # slow to import, and only decorators need it

    called = getattr(type(function), "__call__", function)  # noqa: B004 - of an object that is called
    for is_kind, wrap in (
        (inspect.iscoroutinefunction, _async_function),
        (inspect.isasyncgenfunction, _async_generator),
        (inspect.isgeneratorfunction, _generator),
    ):
        if is_kind(function) or is_kind(called):
            return wrap(function, begin)
    return _function(function, begin)


def is_function(given: Any) -> bool:
    """True for what a decorator is put on, so that a name may be given in its place."""
    return callable(given) or isinstance(given, classmethod)


def name_of(function: Any) -> str:
    """What a function is called; a partial's is that of its function."""
    while isinstance(function, partial):
        function = function.func
    return str(getattr(function, "__name__", type(function).__name__))


def _function(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    @wraps(function)
    def around(*args: Any, **kwargs: Any) -> Any:
        with begin(args, kwargs) as block:
            returned = function(*args, **kwargs)
            block.output(returned)
            return returned

    return around


def _async_function(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    @wraps(function)
    async def around(*args: Any, **kwargs: Any) -> Any:
        with begin(args, kwargs) as block:
            returned = await function(*args, **kwargs)
            block.output(returned)
            return returned

    return around


def _generator(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    @wraps(function)
    def around(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with begin(args, kwargs) as block:
            inner = function(*args, **kwargs)
            step = partial(next, inner)
            while True:
                try:
                    item = step()
                except StopIteration as end:
                    block.output(end.value)
                    return end.value
                block.pause()
                try:
                    step = partial(inner.send, (yield item))
                except GeneratorExit:
                    block.resume()
                    inner.close()
                    raise
                except BaseException as thrown:  # noqa: BLE001 - it belongs to the one inside
                    step = partial(inner.throw, thrown)
                block.resume()

    return around


def _async_generator(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    @wraps(function)
    async def around(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        with begin(args, kwargs) as block:
            inner = function(*args, **kwargs)
            step = inner.asend(None)
            while True:
                try:
                    item = await step
                except StopAsyncIteration:
                    return
                block.pause()
                try:
                    step = inner.asend((yield item))
                except GeneratorExit:
                    block.resume()
                    await inner.aclose()
                    raise
                except BaseException as thrown:  # noqa: BLE001 - it belongs to the one inside
                    step = inner.athrow(thrown)
                block.resume()

    return around
