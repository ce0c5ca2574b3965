"""Tables to predictors: pipelines found within a budget, with past experience as a graph of data sets."""
