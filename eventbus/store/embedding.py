"""A small embedding model that needs no network: the extra `embed`."""

from pathlib import Path

from eventbus.errors import SettingsError
from eventbus.store.ranking import Embed

__all__ = ["small_model"]


def small_model() -> Embed:
    """Vectors of 256 numbers by WordLlama, whose wheel holds its weights.

    Loading takes about a second and 100 MB; load it once and share it.
    """
    try:
        import wordllama
    except ImportError as error:
        raise SettingsError(
            "cannot load the small embedding model: wordllama is not installed;"
            " install eventbus-recorder[embed]"
        ) from error
    # Pointed at its own directory it finds its tokenizer there, and asks no hub for it.
    home = Path(wordllama.__file__).parent
    model = wordllama.WordLlama.load(cache_dir=home, disable_download=True)

    def embed(texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = model.embed(texts).tolist()
        return vectors

    return embed
