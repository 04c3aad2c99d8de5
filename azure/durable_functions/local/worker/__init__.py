"""Runs the app's functions in a process of their own.

Knows the standard library and azure-functions only, and is started by path: in the interpreter
that runs the app another azure-functions-durable may be installed, the official one among them.
"""
