"""Python's search for garbage in cycles, kept off what stays anyway."""

import gc


def garbage_search_shorten() -> None:
    """Look for garbage once, and spare what is there now in later searches.

    Models, settings and libraries are a million objects: to look through them takes .2 s, in which nothing is tracked,
    and came with every few thousand rows. What was spared before is looked through too, so that nothing piles up.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
