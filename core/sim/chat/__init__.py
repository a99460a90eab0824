"""A phone-like chat on loopback: a Bot API server that an unmodified bot polls, a page and a transcript for its owner.

``server.ChatServer`` is the door; everything it stands on knows nothing of HTTP except ``server`` and ``page``.
"""
