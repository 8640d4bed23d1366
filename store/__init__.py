"""The durable truth: schema, migrations, named SQL, life cycle, cipher, output. Knows no processes and no gRPC."""

from . import model
from .errors import StoreBusy, StoreClosed, StoreFault
from .store import Store

__all__ = ["Store", "StoreBusy", "StoreClosed", "StoreFault", "model"]
