import azure.functions as func

from ..shared.greetings import greeting
from .words import PUNCTUATION


def main(req: func.HttpRequest, answer: func.Out[func.HttpResponse]) -> None:
    answer.set(func.HttpResponse(greeting(req.route_params["name"]) + PUNCTUATION))
