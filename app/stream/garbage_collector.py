"""Python's cyclic garbage collector, kept from walking what is loaded."""

import gc


def settle_garbage_collector() -> None:
    """Take what is loaded out of the cyclic collector, and let it run rarely.

    After `import mlflow` it would walk hundreds of thousands of objects again and again, because
    every batch makes thousands of new ones; that more than halves the rate of the stream.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)


def free_what_was_dropped() -> None:
    """Look through all objects once, about a tenth of a second: a model may be full of cycles."""
    gc.unfreeze()
    settle_garbage_collector()
