from instruct_ablate.model.decoding.answers.label_tree import label_tree
from instruct_ablate.model.decoding.question import Question
from instruct_ablate.model.decoding.shared_prefix import SHORTEST, Family, batches, families
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


def test_a_prefix_is_worth_sharing_from_some_length_on():
    def shared(length):
        return [family.shared for family in families([question((*HEAD[:length], n)) for n in range(2)])]

    assert shared(SHORTEST) == [SHORTEST]
    assert shared(SHORTEST - 1) == [0]


def test_a_branch_that_gains_nothing_stays():
    pair = [question((*HEAD, 50, *BODY[:1], n)) for n in range(2)]
    alone = [question((*HEAD, 60, n)) for n in range(1)]
    assert families([*pair, *alone]) == [Family(40, (0, 1, 2))]


def test_places_follow_tasks_and_tokens():
    questions = [
        question((*HEAD, 9), "b"),
        question((*HEAD, 2), "a"),
        question((*HEAD, 1), "b"),
        question((1,), "a"),
    ]
    assert families(questions) == [Family(0, (3, 1)), Family(40, (2, 0))]


def lengths(*given, tokens):
    """How many rows of these lengths stand in each batch; nothing is shared."""
    questions = [question(range(1000 * n, 1000 * n + length)) for n, length in enumerate(given)]
    grouped = [Family(0, (place,)) for place in range(len(given))]
    return [[len(row.tokens) for row in batch.rows] for batch, _ in batches(questions, grouped, tokens)]


def test_a_batch_is_full_at_the_limit_and_not_before():
    assert lengths(4, 4, 4, 4, tokens=8) == [[4, 4], [4, 4]]
    assert lengths(4, 4, 4, 4, tokens=7) == [[4], [4], [4], [4]]
    assert lengths(9, 1, tokens=8) == [[9], [1]]


def test_rows_filled_up_to_the_longest_take_at_most_twice_the_limit():
    assert lengths(5, *[1] * 9, tokens=10) == [[5, 1, 1, 1], [1] * 6]
    assert lengths(*[1] * 5, 5, tokens=10) == [[1] * 5, [5]]
    assert lengths(*[1] * 3, 5, tokens=10) == [[1, 1, 1, 5]]


def test_a_prefix_counts_once_a_batch():
    questions = [question((*HEAD, n)) for n in range(4)]
    found = [
        (len(batch.prefixes), [row.prefix for row in batch.rows], places)
        for batch, places in batches(questions, families(questions), 42)
    ]
    assert found == [(1, [0, 0], [0, 1]), (1, [0, 0], [2, 3])]


def test_shorter_questions_come_first():
    questions = [question((*HEAD, n, *BODY[: 3 - n])) for n in range(3)]
    assert [places for _, places in batches(questions, families(questions), 1000)] == [[2, 1, 0]]
