"""Stance detection and spam filtering (test): comments for or against a proposal, messages wanted or not."""

from random import Random

from instruct_ablate.tasks.starter.make.facts import rows
from instruct_ablate.tasks.starter.make.recipe import Draw, Pair

# proposal | reasons for it (`;`) | reasons against it (`;`)
PROPOSALS = rows("proposals")
FRAMES = (
    "Proposal: {p}. Comment: {c}",
    "Proposal: {p}. Comment: I have thought about it. {c}",
    "Proposal: {p}. Comment: {c} That is what I think.",
    "Proposal: {p}. Comment: Let us be honest. {c}",
    "Proposal: {p}. Comment: {c} Everybody knows that.",
    "Proposal: {p}. Comment: My view is clear. {c}",
)

BAIT = [
    "You have won {m} dollars",
    "Claim your free prize of {m} dollars now",
    "Lose ten kilos in one week",
    "Get rich from home and earn {m} dollars a day",
    "Your account will be closed unless you send your password",
    "Cheap pills without any doctor",
    "A secret trick that banks hate",
    "Congratulations, you are our lucky visitor",
    "Get a loan of {m} dollars without any questions",
    "Hot deal, buy now and pay nothing",
]
PUSH = [
    "Click this link today!",
    "Act now, the offer ends tonight!",
    "Send us your card number!",
    "Reply with your bank details!",
    "Call this number at once!",
    "Do not miss this chance!",
]
NOTES = [
    "Can you pick up some milk on your way home",
    "The meeting was moved to {h} o'clock",
    "I will be {m} minutes late for dinner",
    "Mum asked if you are coming on Sunday",
    "Your book is ready at the library",
    "I left the report on your desk",
    "The train leaves at {h} o'clock",
    "We are having soup tonight",
    "The doctor can see you on Friday",
    "I found your blue scarf in the car",
]
CLOSINGS = [
    "See you soon.",
    "Thanks and take care.",
    "Let me know if that suits you.",
    "Have a good day.",
    "Talk to you later.",
    "Say hello to the others.",
]


def stance(random: Random) -> Pair:
    """A proposal and a comment for or against it."""
    proposal, reasons_for, reasons_against = random.choice(PROPOSALS)
    label, reasons = random.choice((("favor", reasons_for), ("against", reasons_against)))
    comment = random.choice(reasons.split(";"))
    return random.choice(FRAMES).format(p=proposal, c=comment), label


def spam(random: Random) -> Pair:
    """A message: bait and a push, or a note between people."""
    label = random.choice(("spam", "not spam"))
    head, tail = (BAIT, PUSH) if label == "spam" else (NOTES, CLOSINGS)
    money = random.choice((500, 1000, 5000, 10000)) if label == "spam" else random.choice((5, 10, 15, 20))
    text = random.choice(head).format(m=money, h=random.randrange(2, 9))
    end = "!" if label == "spam" else "?" if text.startswith("Can") else "."
    return f"{text}{end} {random.choice(tail)}", label


DRAWS: dict[str, Draw] = {
    "starter107_stance_on_proposal": stance,
    "starter108_spam_message": spam,
}
