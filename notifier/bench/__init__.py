"""How fast this machine tells clients: the whole pipe on a database of its own, against a sink and beside a ceiling.

Light on purpose: the sink's process imports nothing but the standard library.
"""
