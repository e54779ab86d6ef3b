"""A function of any kind wrapped so that somebody is told of the exception that leaves it."""

from collections.abc import AsyncGenerator, Callable, Generator
from functools import wraps
from typing import Any

__all__ = ["telling"]

Tell = Callable[[Exception], None]


def telling(function: Any, tell: Tell) -> Any:
    """The same function, of the same kind; `tell` hears of its exceptions before they go on.

    Plain and async functions, generators of both, methods, and what
    `staticmethod` and `classmethod` make. A cancellation is no exception here.
    """
    import inspect  # slow to import, and only decorators need it

    if isinstance(function, staticmethod | classmethod):
        return type(function)(telling(function.__func__, tell))
    called = getattr(type(function), "__call__", function)  # noqa: B004 - of an object that is called
    for is_kind, wrap in (
        (inspect.iscoroutinefunction, _async_function),
        (inspect.isasyncgenfunction, _async_generator),
        (inspect.isgeneratorfunction, _generator),
    ):
        if is_kind(function) or is_kind(called):
            return wrap(function, tell)
    return _function(function, tell)


def _function(function: Callable[..., Any], tell: Tell) -> Callable[..., Any]:
    @wraps(function)
    def told(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            tell(error)
            raise

    return told


def _async_function(function: Callable[..., Any], tell: Tell) -> Callable[..., Any]:
    @wraps(function)
    async def told(*args: Any, **kwargs: Any) -> Any:
        try:
            return await function(*args, **kwargs)
        except Exception as error:
            tell(error)
            raise

    return told


def _generator(function: Callable[..., Any], tell: Tell) -> Callable[..., Any]:
    @wraps(function)
    def told(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        try:
            return (yield from function(*args, **kwargs))
        except Exception as error:
            tell(error)
            raise

    return told


def _async_generator(function: Callable[..., Any], tell: Tell) -> Callable[..., Any]:
    @wraps(function)
    async def told(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        inner = function(*args, **kwargs)
        try:
            step = inner.asend(None)
            while True:
                item = await step
                try:
                    step = inner.asend((yield item))
                except GeneratorExit:
                    raise
                except BaseException as thrown:  # noqa: BLE001 - it belongs to the one inside
                    step = inner.athrow(thrown)
        except StopAsyncIteration:
            return
        except Exception as error:
            tell(error)
            raise
        finally:
            await inner.aclose()

    return told
