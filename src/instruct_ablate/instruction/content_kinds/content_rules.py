"""The kinds of content of a definition found by its wording, where no annotation is at hand.

Developed on the training definitions of Super-NaturalInstructions against the annotation of Yin et al. (2023) alone;
docs/variants.md has precision and recall on the test definitions. Read in order: what a segment says of labels, whether
it is the definition's command, whether it says what is given, and what is left is a detail.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from instruct_ablate.instruction.content_kinds.kinds import Kind, Segment
from instruct_ablate.instruction.words.segments import VERBS, segments
from instruct_ablate.normalisation import label_form
from instruct_ablate.tasks.task import Task

_I = re.IGNORECASE
_TOLD = (
    r"\byou(?:'re| are| will be|'ll be| have been)? (?:also |first )?(?:be )?"
    r"(?:given|provided|presented|shown|see)\b"
)
_GIVEN = re.compile(
    _TOLD
    + r"|\byou(?:'re| are| will be)? (?:also |first )?(?:receive|get)|(?:^|based on (?:the|a)|using the) ?given\b"
    r"|^(?:in this task,? )?(?:given|there (?:is|are))\b|\bwe (?:give|provide|present)"
    r"|\b(?:the|each) (?:inputs?|instance|question|passage|sentence|dataset|text)s?"
    r" (?:is|are|consists?|contains?|will|has|have|would)\b"
    r"|\b(?:is|are|will be) (?:also )?(?:given|provided|presented|shown)\b|provided with"
    r"|this task (?:provides|contains)"
    r"|^(?:in this task,? )?(?:from|for|with|using) (?:the|a|an|each) ",
    _I,
)
_PLAINLY_GIVEN = re.compile(_TOLD + r"|^given\b|\b(?:is|are) given", _I)
_OWN = r"(?:your|the|this) (?:task|job|goal|objective|aim|work|purpose) (?:here )?(?:is|will be|involves)\b"
_SHOULD = (
    r"you(?:'re| are| will| would)? (?:also |then )?"
    r"(?:need|have|required|expected|asked|must|should|supposed|tasked|ought)\b"
)
_COMMAND = re.compile(rf"\b{_OWN}|\b{_SHOULD}|(?:[,:] |\band |\bplease |^){VERBS}\b", _I)
_NOT_SHOWN = r"(?! (?:be (?:given|shown|provided|presented)|see|get|receive)\b)"
_ACTION = re.compile(
    rf"\b{_OWN}|\b{_SHOULD}{_NOT_SHOWN}"
    rf"|\byou(?:'re| are| will| would)? (?:also |then )?(?:to|can|will)\b{_NOT_SHOWN}"
    rf"|\bthis task (?:is|involves|requires|asks)|\bin this task,? (?:you(?:'ll| will)? )?{VERBS}\b"
    rf"|\bwe (?:would like|want|ask) you|(?:^|[,:] |\band |\bplease |\bto |\bthen |\bwhich you ){VERBS}\b",
    _I,
)
_BEGINS = re.compile(
    r"\W*(?:in this task,? |here,? |and |then )?(?:(?:your|the|this) (?:task|job|goal|objective|aim)\b"
    r"|you(?:'re| are| will)? (?:also |then )?(?:need|have|required|expected|asked|must|should|supposed|tasked)\b)",
    _I,
)
_AGAIN = re.compile(
    r"(?:so,? |here,? |then,? |and )?(?:your|the) (?:task|job|goal|objective) (?:here )?is (?:also )?(?:to|then)\b",
    _I,
)
_OUTPUT = re.compile(
    r"\b(?:the|your|possible|expected|final)"
    r" (?:outputs?|answers?|responses?|results?|labels?|types?|categor\w+|class\w*|generated \w+)\b[^.]{0,40}"
    r"\b(?:should|must|will|would|can|is|are|may|need)"
    r"|^(?:please )?(?:answer|respond|reply|output|return|print|label|generate|provide|indicate|write|give)\b",
    _I,
)
_WHETHER = re.compile(
    r"\b(?:whether|if|is (?:correct|true|valid)|classify|based on|(?:correct|true)ness)\b", _I
)
# Of labels.
_ASKS = re.compile(
    r"\b(?:determine|decide|check|identify|judge|tell|predict|find(?: out)?|classify|verify|detect|see|figure out"
    r"|assess|infer|evaluate|say|guess|know|ask(?:s|ed)?|predicting|recogni[sz]e|conclude|annotate|test|specify)\b"
    r"(?: (?!as\b)[^\s,.:]+){0,5}? (?:if|whether)\b|\b(?:even|as|only) if\b",
    _I,
)
_IF = re.compile(r"\b(?:if|when|otherwise|else|unless|in case|whenever|in the case|given that)\b", _I)
_MEANS = (
    r"(?:is|are|means?|refers?|denotes?|indicates?|implies|imply|corresponds?|describes?|represents?|stands?|occurs?|holds?|applies"
    r"|contains?|includes?|will|would|should be|has|have|expresses?|questions|can be)\b"
)
_SAYS = re.compile(
    r"\b(?:output|return|answer|print|generate|reply|write|respond|label|say|indicate|give|be|mark|classify|put"
    r"|provide|as)\b",
    _I,
)
_ANSWERS = re.compile(
    r"\b(?:output|return(?:ed)?|answer(?:ed)?|print|generate|reply|write|respond|label|indicate)\b", _I
)
_NOTHING_ELSE = re.compile(
    r"\b(?:anything (?:else )?(?:apart|other|except|besides)|apart from|other than|nothing else|not mentioned"
    r"|in addition to)\b|^(?:do not|don't|never|avoid|note)\b",
    _I,
)
_ASIDE = re.compile(r"\W*(?:for (?:example|instance)|typically|sometimes|generally|usually)\b", _I)
_COUNTED = re.compile(
    r"\bthere (?:are|is|can be) .{0,40}\b(?:types?|categor\w+|classes|classifications?|outputs?|labels?|stances?"
    r"|options?|values?|kinds?)\b",
    _I,
)
_BARE = re.compile(r"^\W*$|(?:\b(?:is|are|be)|:)\W*$", _I)  # before labels that a segment is about
_NONE = re.compile(r"\b(?:empty|none|zero|0|1|unknown|n/a)\b|-1", _I)
_LISTED = re.compile(
    r"\b(?:one of|lists?|types?|categor\w+|options?|values?|following|has to be|either|classes|possible|into|labels?"
    r"|tags?|set)\b",
    _I,
)
_EXAMPLE = re.compile(r"\be\.g|for example|such as|like\b", _I)
_QUOTED = re.compile(r"(?<!\w)['\"`“‘]\s?([^'\"`“”‘’]{1,40}?)\s?['\"`”’](?!\w)")
_CLOSE = r"['\"`”’)\]]*"


def by_rules(task: Task) -> tuple[Segment, ...]:
    """Cut a definition and tell the kinds of each segment."""
    texts = segments(task.definition)
    labels = _labels(task, texts)
    made, acted = [], False
    for at, text in enumerate(texts):
        place = _Place(
            text.strip(), labels[at], acted, at == 0, bool(task.label_space) and any(labels[at + 1 :])
        )
        kinds = _kinds(place)
        acted = acted or "action" in kinds
        made.append(Segment(text, kinds))
    return tuple(made)


@dataclass(frozen=True, slots=True)
class _Place:
    """A segment where it stands: what it says of labels, whether the command was before it, and labels come after."""

    text: str
    label: Kind | None
    acted: bool
    first: bool
    labels_follow: bool

    @property
    def given(self) -> bool:
        return bool(_GIVEN.search(self.text))

    @property
    def commands(self) -> bool:
        """Whether it holds a command that is not part of saying what is given."""
        if not _ACTION.search(self.text) or re.match(r"(?:if|when)\b", self.text, _I):
            return False
        return (
            not self.given or bool(_COMMAND.search(self.text)) or not bool(_PLAINLY_GIVEN.search(self.text))
        )


def _kinds(place: _Place) -> frozenset[Kind]:
    kinds: set[Kind] = {place.label, "output"} if place.label else set()
    if place.label != "label_definition" or not _IF.match(place.text):
        kinds |= _of_command(place)
    if not kinds and not place.acted:
        kinds.add("input" if place.first else "details")
    return frozenset(kinds or {"details"})


def _of_command(place: _Place) -> set[Kind]:
    """Tell whether a segment is the command, and what it says beside it; or whether it says what is given."""
    if not place.acted and place.commands:
        # Where the labels are told later, the command alone does not say what to put out.
        said: set[Kind] = set() if _WHETHER.search(place.text) and place.labels_follow else {"output"}
        given: set[Kind] = {"input"} if place.given and not _BEGINS.match(place.text) else set()
        return {*said, *given, "action"}
    if place.acted and _AGAIN.match(place.text):
        return {"action", "output"}
    if place.label is None and place.given and (not place.acted or _PLAINLY_GIVEN.search(place.text)):
        return {"input"}
    return set()


def label_places(task: Task, text: str) -> list[re.Match[str]]:
    """Return where a text names the task's labels as words of their own, each label once, in order."""
    found = [_place(label.strip(" .'\""), text) for label in task.label_space or () if label_form(label)]
    places: list[re.Match[str]] = []
    for one in sorted((one for one in found if one), key=lambda one: (one.start(), -one.end())):
        if not places or one.start() >= places[-1].end():
            places.append(one)
    return places


def _place(label: str, text: str) -> re.Match[str] | None:
    if not label:
        return None
    words = r"[\s_-]+".join(map(re.escape, re.split(r"[\s_-]+", label)))
    if len(label) == 1 and label.isalpha():  # a letter is a label where it stands as one
        return re.search(
            rf"(?<!\w)(?:['\"`“‘(]\s?{words}\s?['\"`”’)]|{words}(?=[,.:)]|\s*=|\s(?:or|and|if|for|when)\b)"
            rf"|(?<=[:,] ){words}\b|(?<=or ){words}\b|(?<=and ){words}\b)",
            text,
        )
    plural = "s?" if label[-1].isalpha() and len(label) > 2 else ""
    return re.search(rf"(?<![\w-]){words}{plural}(?![\w-])", text, _I)


def _labels(task: Task, texts: list[str]) -> list[Kind | None]:
    """Tell of each segment what it says of labels; a question in plain words lists none where others do."""
    found = [_of_labels(task, text.strip()) for text in texts]
    for at, text in enumerate(texts):
        if (
            found[at] == "label_list"
            and "label_list" in found[at + 1 :]
            and _in_plain_words(task, text.strip())
        ):
            found[at] = None
    return found


def _in_plain_words(task: Task, text: str) -> bool:
    """Tell whether labels come up as words of a question ("whether it is good or bad"), not as answers."""
    places = label_places(task, text)
    asked = places and re.search(r"\b(?:if|whether)\b", text[: places[0].start()], _I)
    return bool(asked) and not any(
        re.search(r"['\"`“‘”’(]", text[p.start() - 2 : p.end() + 2]) for p in places
    )


def _of_labels(task: Task, text: str) -> Kind | None:
    """Tell whether a segment lists labels or says what they mean."""
    if _NOTHING_ELSE.search(text) or _ASIDE.match(text):
        return None
    places, conditional = label_places(task, text), bool(_IF.search(_ASKS.sub(" ", text)))
    given = bool(_GIVEN.search(text)) and not _COMMAND.search(text)
    if not places:
        return _unnamed(text, bool(task.label_space), conditional, given)
    if given and not conditional and not (len(places) > 1 and _COUNTED.search(text)):
        return None
    first = places[0]
    numbered = re.fullmatch(r"\W*(?:[ivx\d]+\W+)?", text[: first.start()])
    if numbered and re.match(rf"{_CLOSE}\s*[:(]", text[first.end() :]):
        return "label_definition"
    if len(places) > 1:
        kind = _several(text, places, conditional)
        return kind if kind == "label_definition" or _offers(text, first) else None
    return "label_definition" if _explained(text, first, conditional) else None


def _offers(text: str, label: re.Match[str]) -> bool:
    """Tell whether labels are offered as answers, not only spoken of."""
    return any(one.search(text) for one in (_COMMAND, _SAYS, _LISTED)) or bool(
        _BARE.search(text[: label.start()])
    )


def _words(text: str) -> int:
    return len(re.findall(r"\w+", text))


def _several(text: str, places: list[re.Match[str]], conditional: bool) -> Kind:
    """Labels side by side are a list; with words between them, or conditions, they are explained."""
    gaps = [_words(text[a.end() : b.start()]) for a, b in pairwise(places)]
    middle = sorted(gaps)[len(gaps) // 2]
    if re.search(r"\bmeans?\W+$", text[: places[0].start()], _I):
        return "label_definition"
    if len(places) > 2 and max(gaps) <= 2:
        return "label_list"
    if conditional:
        near = len(places) == 2 and places[1].start() - places[0].end() < 8
        return "label_list" if near else "label_definition"
    glossed = sum(
        bool(re.match(r"['\"`”’)]?\s*(?::|=|-\s|means|refers|denotes|indicates)", text[one.end() :]))
        for one in places
    )
    return (
        "label_definition"
        if middle >= 4 or (glossed >= max(2, 0.6 * len(places)) and middle >= 3)
        else "label_list"
    )


def _explained(text: str, label: re.Match[str], conditional: bool) -> bool:
    """Tell whether the one label that a segment names is explained by it."""
    before, after = _words(text[: label.start()]), text[label.end() :]
    bare, quoted = _ASKS.sub(" ", text), _QUOTED.findall(text)
    if conditional and (_SAYS.search(bare) or quoted or before <= 3):
        return True
    if conditional and re.match(rf"{_CLOSE},? (?:if|when|otherwise)\b", after):
        return True
    if before <= 2 and re.match(rf"['\"`”’)]?\s*(?:[:=]|-\s|(?:[\w-]+ ){{0,2}}{_MEANS})", after):
        return True
    if conditional and re.match(
        r"\W*(?:if|when) (?:an?|the) [\w\s]{0,30}\bis\W+$", text[: label.start()], _I
    ):
        return True
    return len(quoted) == 1 and bool(_OUTPUT.search(text))


def _unnamed(text: str, labelled: bool, conditional: bool, given: bool) -> Kind | None:
    """Without labels that are known: quoted ones in a row are a list, an answer for a case is a label explained."""
    quoted = _QUOTED.findall(text)
    if len(quoted) >= 3 and _LISTED.search(text) and not (given or conditional or _EXAMPLE.search(text)):
        return "label_list"
    if conditional and labelled and _ANSWERS.search(_ASKS.sub(" ", text)) and (quoted or _NONE.search(text)):
        return "label_definition"
    return None
