"""A function that a service runs: submitted, followed, tried again.

The service has to know where functions are. In its config.toml (`tsched config check` tells which one that is):

    [[functions]]
    name = "examples"
    path = "/path/to/examples/python"
    modules = ["typed_task", "workflow", "async_code"]

Then `tsched up -d`, and `python typed_task.py`. `tsched call typed_task.word_count "to be or not to be"` does the same.
"""

from tsched import Retry, TaskFailed, current, default_client, task


@task(retries=3, timeout=60)
def word_count(text: str, *, least: int = 1) -> dict[str, int]:
    """How often each word is in a text."""
    words = text.split()
    counts: dict[str, int] = {}
    for place, word in enumerate(words, start=1):
        counts[word] = counts.get(word, 0) + 1
        current().progress(place, word, total=len(words))
    print(f"{len(words)} words")
    return {word: count for word, count in counts.items() if count >= least}


@task(retries=2)
def third_time_lucky() -> int:
    """Succeeds at its third attempt."""
    if current().attempt < 3:  # noqa: PLR2004 - see its name
        raise Retry(in_=0.1)
    return current().attempt


@task
def broken() -> None:
    """Fails."""
    raise ValueError("no such user")


def main() -> None:
    """Submit calls, and look at what becomes of them."""
    print(word_count.__wrapped__.__name__, "is called here as ever:", third_time_lucky.__doc__)

    handle = word_count.delay("to be or not to be", least=2)  # durable from here on; type checkers see its arguments
    print(handle.result(timeout=30))
    print(list(handle.logs()), handle.status())

    print("attempt", third_time_lucky.delay().result(timeout=30))

    later = word_count.options(delay=0.2, priority=5, name="later").delay("a b")
    print(later.result(timeout=30))

    print(default_client().results(word_count.map([("x",), ("y y",)]), timeout=30))

    try:
        broken.delay().result(timeout=30)
    except TaskFailed as failed:
        print(failed.reason, "-", failed.message)


if __name__ == "__main__":
    main()
