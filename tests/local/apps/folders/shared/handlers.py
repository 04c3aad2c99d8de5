import shared.greetings


def handle(req):
    return shared.greetings.greeting("handler")
