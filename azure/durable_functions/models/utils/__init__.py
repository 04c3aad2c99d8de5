from . import df_serialization as df_serialization
from . import entity_utils as entity_utils
from . import http_utils as http_utils
from . import json_utils as json_utils
from . import type_discovery as type_discovery
