"""Dialogue acts (test): what an utterance does, and whether a reply answers its question."""

from random import Random

from instruct_ablate.tasks.starter.make.facts import rows
from instruct_ablate.tasks.starter.make.people import NAMES
from instruct_ablate.tasks.starter.make.recipe import Draw, Pair

ACTS = {
    "question": "where did you put the keys?;what time does the film start?;how old is your brother?;"
    "who is coming to dinner?;which bus goes to the station?;when will you be back?;is the shop still open?;"
    "have you seen my glasses?",
    "request": "please close the window.;please pass me the salt.;give me a hand with this box, please.;"
    "please turn the music down.;bring me a glass of water, please.;please call me back tonight.;"
    "wait for me at the gate, please.;please write your name here.",
    "apology": "I am sorry that I am late.;sorry, I broke your cup.;please forgive me for shouting.;"
    "I apologise for the mistake.;I am so sorry, I forgot your birthday.;sorry for waking you up.;"
    "it was my fault, I am sorry.;excuse my rude words of yesterday.",
    "thanks": "thank you for the lovely flowers.;thanks a lot for your help.;many thanks for the lift.;"
    "I am so grateful for your advice.;thank you, that was very kind.;thanks for looking after the cat.;"
    "thank you for waiting.;I cannot thank you enough.",
    "greeting": "hello, nice to see you.;good morning to you.;hi there, long time no see.;"
    "good evening and welcome.;hello, pleased to meet you.;hey, great to see you again.;"
    "good afternoon to you.;welcome back and hello.",
}
# question | fitting replies (`;`); every row asks for another kind of answer.
QUESTIONS = rows("questions")
LEADS = ("", "{n}, ", "Oh, ", "Listen, {n}, ", "Well, ", "{n}, my friend, ", "Dear {n}, ")


def act(random: Random) -> Pair:
    """One utterance which asks, requests, apologises, thanks or greets."""
    label = random.choice(list(ACTS))
    utterance = random.choice(ACTS[label].split(";"))
    text = random.choice(LEADS).format(n=random.choice(NAMES)) + utterance
    return text[0].upper() + text[1:], label


def reply_fits(random: Random) -> Pair:
    """A question with a reply to it, or with a reply to quite another question."""
    rows = QUESTIONS
    (question, right), (_, wrong) = random.sample(rows, 2)
    label = random.choice(("Yes", "No"))
    reply = random.choice((right if label == "Yes" else wrong).split(";"))
    return f"Question: {question.format(n=random.choice(NAMES))} Reply: {reply}", label


DRAWS: dict[str, Draw] = {
    "starter105_kind_of_utterance": act,
    "starter106_reply_answers_question": reply_fits,
}
