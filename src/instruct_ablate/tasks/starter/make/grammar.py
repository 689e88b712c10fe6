"""Grammar: plurals, past tense, tenses, articles, kinds of sentence, agreement, parts of speech."""

from random import Random

from instruct_ablate.tasks.starter.make.facts import rows
from instruct_ablate.tasks.starter.make.people import NAMES
from instruct_ablate.tasks.starter.make.recipe import Draw, Pair

NOUNS = rows("nouns")  # singular | plural
VERBS = rows("verbs")  # infinitive | past | what follows it
WORDS = {kind: tuple(sentences.split(";")) for kind, sentences in rows("parts_of_speech")}
SENTENCES = {kind: tuple(sentences.split(";")) for kind, sentences in rows("sentence_kinds")}
AGREEING = rows("agreement")  # start with {n} | right verb | wrong verb | end


def third_person(verb: str) -> str:
    """The verb after he or she in the present tense."""
    if verb.endswith(("s", "sh", "ch", "x", "o")):
        return verb + "es"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ies"
    return verb + "s"


def plural(random: Random) -> Pair:
    """The plural of a noun, asked in one of several ways."""
    one, many = random.choice(NOUNS)
    return random.choice(
        ("One {}, two ...?", "{}", "Make this plural: {}", "There are many ... (word: {})")
    ).format(one), many


def past(random: Random) -> Pair:
    """The past tense of the verb in a present-tense sentence."""
    verb, then, rest = random.choice(VERBS)
    return f"Every day, {random.choice(NAMES)} {third_person(verb)} {rest}.", then


def tense(random: Random) -> Pair:
    """A sentence in the present, the past or the future."""
    verb, then, rest = random.choice([row for row in VERBS if row[0] != row[1]])
    label = random.choice(("past", "present", "future"))
    form = {"past": then, "present": third_person(verb), "future": f"will {verb}"}[label]
    return f"{random.choice(NAMES)} {form} {rest}.", label


def article(random: Random) -> Pair:
    """A gap before a noun; is it "a" or "an"?"""
    noun = random.choice(NOUNS)[0]
    label = "an" if noun[0] in "aeiou" else "a"
    frames = (
        "{n} saw ___ {x}.",
        "{n} dreamed of ___ {x}.",
        "There was ___ {x} in the picture by {n}.",
        "{n} drew ___ {x}.",
    )
    return random.choice(frames).format(n=random.choice(NAMES), x=noun), label


def sentence_kind(random: Random) -> Pair:
    """A question, a statement or a command, without its mark at the end."""
    label = random.choice(list(SENTENCES))
    text = random.choice(SENTENCES[label]).format(n=random.choice(NAMES))
    return text[0].upper() + text[1:], label


def agreement(random: Random) -> Pair:
    """A sentence whose verb agrees with its subject, or does not."""
    start, right, wrong, end = random.choice(AGREEING)
    label = random.choice(("Yes", "No"))
    return f"{start} {right if label == 'Yes' else wrong} {end}.".format(n=random.choice(NAMES)), label


def part_of_speech(random: Random) -> Pair:
    """A sentence with one word between asterisks: noun, verb or adjective."""
    label = random.choice(list(WORDS))
    return random.choice(WORDS[label]), label


DRAWS: dict[str, Draw] = {
    "starter018_plural_of_noun": plural,
    "starter019_past_tense_of_verb": past,
    "starter020_tense_of_sentence": tense,
    "starter021_article_a_or_an": article,
    "starter022_kind_of_sentence": sentence_kind,
    "starter023_subject_verb_agreement": agreement,
    "starter024_part_of_speech": part_of_speech,
}
