from azure.durable_functions._replay.tasks import TaskBase as TaskBase
from azure.durable_functions.testing.generator import (
    orchestrator_generator_wrapper as orchestrator_generator_wrapper,
)
