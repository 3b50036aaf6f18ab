"""Overlaps of activities: found, explained, measured, decided.

The parts, each importing only those before it::

    corpus        activities with their facets and mentions, read from a graph or a table
    translation   French and Spanish words into English ones, learnt from the labels of the graph
    similarity    what two activities share, as numbers, for blocks of pairs
    model         from these numbers to a score, a kind and a confidence; the weights
    detection     all pairs of a plan; the best of very many activities
    explanation   why: shared things, and a sentence from them
    decisions     what people decided, and what to ask them next
    learning      how the ranking learns from it
    objectives    work packages of activities of several objectives
    findings      all of it as triples, the same for the same graph
    evaluation    a ranking against pairs that people judged

Nothing here writes to a store; `curation` does.
"""
