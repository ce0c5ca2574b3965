"""Data: instances that come with the library, generators, and a registry of public collections fetched on demand.

>>> load_instance("capitals").num_cities
195
>>> [dataset.name for dataset in list_datasets()][:2]
['tsplib', 'tsplib-tours']
"""

from gnnlib.data.generate import GENERATORS, clustered, exploded, integer_grid, uniform
from gnnlib.data.instances import Instance, list_instances, load_instance
from gnnlib.data.registry import DataFile, Dataset, dataset, fetch, list_datasets

__all__ = [
    "GENERATORS",
    "DataFile",
    "Dataset",
    "Instance",
    "clustered",
    "dataset",
    "exploded",
    "fetch",
    "integer_grid",
    "list_datasets",
    "list_instances",
    "load_instance",
    "uniform",
]
