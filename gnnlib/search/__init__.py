"""Search procedures that know callables and never heads."""
