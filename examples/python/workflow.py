"""Workflows: tasks that are given the results of others, submitted in one request, all of it or nothing.

How to have a service know these functions is told in typed_task.py.
"""

from tsched import TaskFailed, chain, chord, default_client, group, result_of, task


@task
def pages(book: str) -> list[str]:
    """The pages of a book."""
    return [f"{book} {number}" for number in range(1, 4)]


@task
def letters(text: str) -> int:
    """How many letters a text has."""
    return sum(each.isalpha() for each in text)


@task
def longest(texts: list[str]) -> str:
    """The longest of some texts."""
    return max(texts, key=len)


@task
def total(counts: list[int]) -> int:
    """The sum."""
    return sum(counts)


@task
def tear(_book: str) -> str:
    """Fails."""
    raise OSError("torn")


def main() -> None:
    """Submit workflows, and wait for what they come to."""
    # One after the other: what comes before is the first argument of what comes after.
    print(chain(pages.s("Emma"), longest.s(), letters.s()).delay().result(timeout=30))

    # Beside each other, then together.
    print(chord(group(letters.s(word) for word in ("ab", "c", "def")), total.s()).delay().result(timeout=30))

    # Results as arguments, of what was submitted before and of what is only now (result_of is for type checkers); and a
    # command that has to end first.
    first = letters.delay("abc")
    ready = default_client().shell("echo ready")
    print(total.options(after=[ready]).delay([result_of(first), result_of(letters.s("de"))]).result(timeout=30))

    # What needs a part that failed is skipped, and the failure is told.
    workflow = chain(tear.s("Emma"), letters.s()).delay()
    try:
        workflow.result(timeout=30)
    except TaskFailed as failed:
        print(failed.message, [str(part.status()) for part in workflow.parts])


if __name__ == "__main__":
    main()
