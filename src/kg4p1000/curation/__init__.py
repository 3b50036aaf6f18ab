"""Changes to the graph, whoever makes them: people by the service, files by a build, decisions.

The parts, each importing only those before it::

    access      roles and tokens
    commits     `commit` and `undo`: guards, what follows, validate, infer, log, publish
    decisions   what people decide about what software proposes, one mechanism for every topic
    mappings    mappings to other vocabularies as a topic of decisions
    merging     what files and service changed since both said the same, and where they disagree
    build       files to named graphs to a published version
    loading     a file of RDF into one named graph, or a graph emptied
    writer      changes for the service, in a process that can be ended
"""
