import datetime as datetime
import re as re
from azure.durable_functions._wire.json_utils import add_attrib as add_attrib
from azure.durable_functions._wire.json_utils import add_datetime_attrib as add_datetime_attrib
from azure.durable_functions._wire.json_utils import add_json_attrib as add_json_attrib
from azure.durable_functions._wire.json_utils import parse_timespan_attrib as parse_timespan_attrib
from azure.durable_functions.constants import DATETIME_STRING_FORMAT as DATETIME_STRING_FORMAT
