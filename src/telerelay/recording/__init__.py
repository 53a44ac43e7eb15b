"""
Recording a consult: everybody who is in has agreed, and sees it.

When it may run is the consult's to say (consult/recording.py). Here is what comes of it: packets out of a tap on the
worker, put together to frames and into files as they are, without decoding, sealed as documents are. docs/recording.md.
"""
