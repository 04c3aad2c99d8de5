from azure.durable_functions._wire.vocabulary import ReplaySchema as ReplaySchema
from enum import Enum as Enum
