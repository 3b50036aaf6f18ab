"""Overlaps of activities: found, explained, decided.

The parts, each importing only those before it::

    corpus        activities with their facets and mentions, read from a graph or a table
    decisions     what people decided, and what to ask them next
    similarity    what two activities share, as numbers, for blocks of pairs; codes guessed from a text
    scoring       from these numbers to a score, a kind and a confidence; what decisions teach
    explanation   why: shared things, and a sentence from them
    clusters      work packages of activities of several objectives
    findings      all of it as triples, the same for the same graph

Nothing here writes to a store; `curation` does.
"""
