"""TAB offers what may come next, and asks the supervisor only where a name of its own may stand."""

import pytest

from tsched.cli import main, shell, shell_words
from tsched.cli.shell_words import Word
from tsched.proto.values import TaskState


def offered(line):
    """The words that would be offered, and the kinds that were asked for."""
    asked = []

    def known(kind):
        asked.append(kind)
        return [Word(f"{kind}-1"), Word(f"{kind}-2")]

    before, begun = shell_words.split(line)
    return {word.text for word in shell_words.possible(before, begun, known) if word.text.startswith(begun)}, asked


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", {*main.VERBS, *shell.OWN}),
        ("rel", {"release", "reload"}),
        ("tsched rele", {"release"}),
        ("help rele", {"release"}),
        ("list --qu", {"--queue"}),
        ("list --state re", {"ready", "retrying"}),
        ("run --on-lost ", {"fail", "hold", "retry"}),
        ("config ", {"check", "reload"}),
        ("logs --stream o", {"out"}),
        ("list --state ", set(TaskState)),
        ("no-such-verb ", set()),
        ("run -- --qu", set()),
        ("run --name ", set()),
        ("wait --timeout ", set()),
    ],
)
def test_our_own_words_are_offered_where_they_may_stand(line, words):
    assert offered(line) == (words, [])


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("show ", "ids"),
        ("cancel 1 2 ", "ids"),
        ("wait --timeout 5 ", "ids"),
        ("graph --dot i", "ids"),
        ("run --after ", "ids"),
        ("call ", "functions"),
        ("call --name x f", "functions"),
        ("load ", "plugins"),
        ("reload ", "plugins"),
    ],
)
def test_names_that_the_supervisor_knows_are_asked_for(line, kind):
    assert offered(line) == ({f"{kind}-1", f"{kind}-2"}, [kind])


@pytest.mark.parametrize("line", ["show 1 ", "call f ", "schedule --at "])
def test_nothing_is_asked_where_no_name_may_stand(line):
    assert offered(line) == (set(), [])


@pytest.mark.parametrize("line", ["run 'a b", 'call f "x', "a\\"])
def test_within_quotes_nothing_is_offered(line):
    assert shell_words.split(line) is None


@pytest.mark.parametrize("verb", main.VERBS)
def test_every_verb_can_be_completed(verb):
    assert "--json" in offered(f"{verb} --js")[0]
