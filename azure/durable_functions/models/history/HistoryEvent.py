from azure.durable_functions._replay.history import HistoryEvent as HistoryEvent
from azure.durable_functions._wire.vocabulary import HistoryEventType as HistoryEventType
from dateutil import parser as _parser

dt_parse = _parser.parse
