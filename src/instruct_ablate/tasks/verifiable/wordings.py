"""What the requests and their rules are put together from; all of it our own words."""

from __future__ import annotations

DEFINITION = (
    "Do what the request asks for. Keep to every rule that it states: each of them is checked by a program."
)

FORMS = (
    "Write a few lines about {topic}.",
    "Describe {topic} in your own words.",
    "Tell a friend by letter about {topic}.",
    "Write a short text for a school magazine about {topic}.",
    "Say what you find remarkable about {topic}.",
    "Explain to a child what there is to know about {topic}.",
)

TOPICS = (
    "a night train across the plains", "a lighthouse in winter", "keeping bees on a roof", "the first snow of the year",
    "a fish market at dawn", "an old stone bridge", "learning to swim late in life", "a library on wheels",
    "the smell of fresh bread", "a storm over the lake", "planting an apple tree", "a quiet museum of clocks",
    "the last bus home", "repairing a bicycle", "a walk through the dunes", "a cat that guards a bookshop",
    "the harvest of olives", "a school in the mountains", "a ferry in the fog", "the sound of an empty theatre",
    "building a kite", "a village without cars", "the workshop of a violin maker", "a garden behind the station",
    "an island of sheep", "the day the power failed", "a map drawn by hand", "a well in the desert",
    "moving to a new town", "the oldest oak of the forest", "a choir of fishermen", "baking for forty guests",
    "a tower with a broken lift", "the migration of cranes", "a puppet theatre in the park", "cleaning a chimney",
    "a river that changes its bed", "the invention of the umbrella", "a football match in the rain",
    "the letters of a grandmother", "a tram driver's morning", "a hut above the clouds", "painting a wooden boat",
    "the colours of autumn leaves", "a chess club in a laundry", "the taste of sea salt", "a beehive in a church tower",
    "an evening without a telephone", "the making of paper", "a glacier that is melting", "a market for old radios",
    "the keeper of a small zoo", "a picnic beside the canal", "watching a solar eclipse", "a bakery that never closes",
    "the quietest street of the city", "teaching a parrot to speak", "a windmill at work",
    "the crossing of a rope bridge", "a suitcase that was lost",
)  # fmt: skip

QUESTIONS = (
    "Is a tomato heavier than a melon?", "Does it rain more often in deserts than in forests?",
    "Can a person cross an ocean in a rowing boat?", "Is a winter night longer than a summer night?",
    "Would a letter reach the moon by ordinary mail?", "Do cats sleep longer than horses?",
)  # fmt: skip

OPTIONS = ("Yes, that is so.", "No, that is not so.", "It cannot be said in general.")

KEYWORDS = (
    "harbour", "lantern", "copper", "patience", "meadow", "compass", "whistle", "velvet", "ladder", "thunder", "pebble",
    "orchard", "mirror", "candle", "feather", "anchor", "ribbon", "marble", "kettle", "window",
)  # fmt: skip

FORBIDDEN = (
    "very", "nice", "beautiful", "always", "never", "people", "thing", "time", "good", "really", "great", "lovely",
)  # fmt: skip

LANGUAGES = {
    "de": "German", "fr": "French", "es": "Spanish", "it": "Italian", "nl": "Dutch", "ru": "Russian",
}  # fmt: skip

STARTS = (
    "Long before sunrise",
    "To tell the truth",
    "Nobody would have guessed it",
    "Let me begin with a secret",
)
ENDS = (
    "And that is all there is to it.",
    "Ask me again tomorrow.",
    "Nothing more was said.",
    "This is where I stop.",
)
FIRST_WORDS = ("however", "tomorrow", "perhaps", "suddenly", "nevertheless", "sometimes")
SECTIONS = ("Part", "Chapter", "Scene", "Step")
MARKERS = ("P.S.", "P.P.S.")

# By kind, and by the parameter that a rule's words depend on: {name} stands for a parameter's value.
RULES: dict[str, tuple[str, ...]] = {
    "words at least": (
        "Use at least {count} words.",
        "The answer must have {count} words or more.",
        "Do not write less than {count} words.",
    ),
    "words less than": (
        "Use fewer than {count} words.",
        "Keep the answer under {count} words.",
        "The whole answer must stay below {count} words.",
    ),
    "sentences at least": (
        "Write at least {count} sentences.",
        "The answer must have {count} sentences or more.",
    ),
    "sentences less than": ("Write fewer than {count} sentences.", "Keep it below {count} sentences."),
    "sentences exactly": (
        "Write exactly {count} sentences.",
        "The answer must have {count} sentences, no more or less.",
    ),
    "paragraphs ***": (
        "Write exactly {count} paragraphs and part them by a line with three asterisks: ***",
        "Divide the answer into {count} paragraphs, with *** on a line of its own between them.",
    ),
    "paragraphs empty line": (
        "Write exactly {count} paragraphs with an empty line between them.",
        "Divide the answer into {count} paragraphs, parted by empty lines.",
    ),
    "paragraph_start": (
        "Write exactly {count} paragraphs, parted by empty lines, and begin paragraph {place} with the word "
        '"{word}".',
        'There must be {count} paragraphs with empty lines between them; number {place} begins with "{word}".',
    ),
    "case upper": ("Use capital letters only.", "Every letter of the answer must be a capital."),
    "case lower": ("Use small letters only, no capitals.", "No capital letter may occur in the answer."),
    "capital_words at least": (
        "Write at least {count} words in capital letters throughout.",
        "{count} or more words must be in capitals only.",
    ),
    "capital_words less than": (
        "Fewer than {count} words may be in capital letters throughout.",
        "Do not write {count} words or more in capitals only.",
    ),
    "keywords": ("Use the words {words}.", "Each of these words must occur: {words}.", "Work in {words}."),
    "forbidden": ("Do not use the words {words}.", "These words are not allowed: {words}.", "Avoid {words}."),
    "keyword_count at least": (
        'The word "{word}" must occur at least {count} times.',
        'Use "{word}" {count} times or more.',
    ),
    "keyword_count exactly": (
        'The word "{word}" must occur exactly {count} times.',
        'Use "{word}" {count} times, no more and no less.',
    ),
    "letter_count at least": (
        "The letter {letter} must occur at least {count} times.",
        "Use the letter {letter} {count} times or more.",
    ),
    "letter_count less than": (
        "The letter {letter} must occur fewer than {count} times.",
        "Keep the letter {letter} below {count} occurrences.",
    ),
    "json": (
        "Give the whole answer as one JSON object and nothing else.",
        "Answer with a JSON object alone; a code fence around it is allowed.",
    ),
    "items bullet": (
        "List exactly {count} points, each on a line that begins with an asterisk (* like this).",
        "Use exactly {count} bullet points, written as * and a text.",
    ),
    "items number": (
        "List exactly {count} points on lines numbered 1., 2. and so on.",
        "Give a numbered list of {count} items (1. 2. ...), neither more nor fewer.",
    ),
    "title": (
        "Give it a title in double angle brackets, <<like this>>.",
        "Put a title above it, between << and >>.",
    ),
    "sections": (
        "Divide it into at least {count} sections and mark their beginnings by {name} 1, {name} 2 and so on.",
        "There must be {count} or more sections, headed {name} 1, {name} 2, ...",
    ),
    "highlights": (
        "Highlight at least {count} passages with asterisks, *like this*.",
        "Put {count} or more passages between asterisks (*so*).",
    ),
    "placeholders": (
        "Leave at least {count} placeholders in square brackets, such as [name].",
        "Use {count} or more placeholders like [date] for what is not known.",
    ),
    "postscript": (
        "Add a postscript that begins with {marker}",
        "At the end there must be a postscript, marked {marker}",
    ),
    "quoted": (
        "Put the whole answer in double quotation marks.",
        "The answer must begin and end with a double quotation mark.",
    ),
    "start_phrase": ('Begin with the words "{phrase}".', 'The first words must be "{phrase}".'),
    "end_phrase": (
        'End with exactly this sentence: "{phrase}" Nothing may follow it.',
        'The last words must be "{phrase}", with nothing behind them.',
    ),
    "choice": (
        "Answer with one of these sentences and no other: {options}",
        "Choose exactly one of these answers and write it as it stands: {options}",
    ),
    "no_commas": ("Use no commas.", "Not a single comma may occur in the answer."),
    "language": (
        "Write the answer in {language}, and in no other language.",
        "The whole answer must be in {language}.",
    ),
    "two_answers": (
        "Give two different answers and put six asterisks between them: ******",
        "Two different versions are wanted, parted by ****** and nothing else.",
    ),
    "repeat_prompt": (
        "Before you answer, repeat the request word for word (it ends before this sentence); then answer it.",
        "Copy the request first, as it stands up to this sentence, and say nothing before it; then answer.",
    ),
}

PAIRS = (
    ("words", "keywords"), ("sentences", "forbidden"), ("case", "items"), ("title", "paragraphs"),
    ("placeholders", "postscript"), ("no_commas", "end_phrase"), ("language", "sentences"), ("quoted", "keyword_count"),
    ("sections", "highlights"), ("letter_count", "capital_words"),
)  # fmt: skip
TRIPLES = (
    ("words", "keywords", "no_commas"), ("items", "highlights", "end_phrase"),
    ("title", "paragraph_start", "forbidden"), ("case", "sentences", "keyword_count"),
    ("language", "two_answers", "no_commas"), ("json", "keywords", "forbidden"),
)  # fmt: skip

CATEGORIES = {
    "words": "Length", "sentences": "Length", "paragraphs": "Length", "paragraph_start": "Length", "case": "Case",
    "capital_words": "Case", "keywords": "Words", "forbidden": "Words", "keyword_count": "Words",
    "letter_count": "Words", "no_commas": "Words", "json": "Format", "items": "Format", "title": "Format",
    "sections": "Format", "highlights": "Format", "placeholders": "Content", "postscript": "Content",
    "quoted": "Format", "start_phrase": "Beginning and end", "end_phrase": "Beginning and end", "choice": "Content",
    "language": "Language", "two_answers": "Content", "repeat_prompt": "Content",
}  # fmt: skip
