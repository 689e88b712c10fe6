from instruct_ablate.model.decoding.label_tree import label_tree
from instruct_ablate.model.decoding.question import Question
from instruct_ablate.model.decoding.shared_prefix import Family, batches, families
from tests.model.decoding_cases import make_prompts

HEAD = tuple(range(100, 140))
BODY = tuple(range(200, 260))
PROMPT = make_prompts(1, 1)[0]


def question(ids, task="a", tree=None):
    from dataclasses import replace

    return Question(tuple(ids), (replace(PROMPT, task=task),), tree)


def read(found, questions):
    """Tokens read in all."""
    return sum(f.shared + sum(len(questions[m].ids) - f.shared for m in f.members) for f in found)


def test_a_task_is_one_family_behind_its_common_tokens():
    questions = [question((*HEAD, n, n + 1)) for n in range(5)]
    assert families(questions) == [Family(40, (0, 1, 2, 3, 4))]


def test_tasks_are_kept_apart():
    questions = [question((*HEAD, n), task) for task in "ab" for n in range(3)]
    assert [(f.shared, len(f.members)) for f in families(questions)] == [(40, 3), (40, 3)]


def test_those_with_fewer_examples_make_a_family_of_their_own():
    full = [question((*HEAD, *BODY, n)) for n in range(20)]
    short = [question((*HEAD, 999, n)) for n in range(3)]
    found = families([*full, *short])
    assert sorted((f.shared, len(f.members)) for f in found) == [(40, 3), (100, 20)]
    assert read(found, [*full, *short]) == (100 + 20) + (40 + 3 * 2)


def test_a_small_branch_stays_with_the_larger_family():
    many = [question((*HEAD, n, 5)) for n in range(10)]
    pair = [question((*HEAD, 50, 51, n)) for n in range(2)]
    assert families([*many, *pair])[0].shared == 40
    assert len(families([*many, *pair])) == 1


def test_every_question_keeps_a_token_of_its_own():
    questions = [question(HEAD), question((*HEAD, 1)), question((*HEAD, 1, 2))]
    for family in families(questions):
        assert all(len(questions[member].ids) > family.shared for member in family.members)


def test_one_question_and_short_prefixes_share_nothing():
    assert families([question(HEAD)]) == [Family(0, (0,))]
    assert families([question((1, 2, 3)), question((1, 2, 4))]) == [Family(0, (0, 1))]


def test_all_members_once():
    questions = [question((*HEAD, *BODY[: n % 4], n)) for n in range(50)]
    assert sorted(m for f in families(questions) for m in f.members) == list(range(50))


def test_batches_hold_every_question_whole_within_the_limit():
    questions = [question((*HEAD, *BODY[: n % 7], n), task) for task in "abc" for n in range(30)]
    seen = []
    for batch, places in batches(questions, families(questions), 150):
        for row, place in zip(batch.rows, places, strict=True):
            before = () if row.prefix is None else batch.prefixes[row.prefix]
            assert before + row.tokens == questions[place].ids
        size = sum(map(len, batch.prefixes)) + sum(len(row.tokens) for row in batch.rows)
        assert size <= 150 + len(HEAD)
        seen += places
    assert sorted(seen) == list(range(90))


def test_label_nodes_count_and_long_questions_stand_alone():
    tree = label_tree(("x", "y"), ((1, 2, 3, 0), (1, 4, 0)))
    questions = [question((*HEAD, n), tree=tree) for n in range(4)] + [question(range(3000), "z", tree)]
    sizes = [len(batch.rows) for batch, _ in batches(questions, families(questions), 54)]
    assert sizes == [2, 2, 1]


def test_no_questions_no_batches():
    assert list(batches([], families([]), 100)) == []
