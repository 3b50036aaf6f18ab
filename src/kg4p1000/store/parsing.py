"""What is wrong with RDF that somebody sent: the parsers' words made into a sentence with what to do."""

from __future__ import annotations

import re

_BEFORE = re.compile(r"^Parser error at .*?: (?=\S)", re.DOTALL)
#: What the parsers say, and what that means.
_SAID = tuple(
    (re.compile(theirs), ours)
    for theirs, ours in (
        (
            r"The prefix (\S*:) has not been declared",
            "the prefix {} is not declared; write @prefix {} <…> . before it",
        ),
        (
            r"Unknown prefix (\S*:)",
            "the prefix {} is not declared; write xmlns:… with it in an element around",
        ),
        (
            r"LoadDocumentCallback|remote context",
            "the context is somewhere else, and nothing is fetched here. Put the context itself into"
            ' the document, as "@context": {{…}}',
        ),
        (
            r"Invalid IRI code point '(.)'|Invalid character '(.+?)'",
            "an IRI has the sign '{}' where it cannot stand; in an IRI it is written as %…",
        ),
        (
            r"No scheme found",
            "an IRI is not whole; write it with http:// or https:// at its beginning",
        ),
        (r"language|Unexpected character '.'$", "a language is not written as in @en or @en-GB"),
        (r"base direction", "a direction of text is --ltr or --rtl"),
        (
            r"Unexpected end|end of file|EOF",
            "the text ends too early: a quote, a bracket or a full stop is missing",
        ),
        (
            r"^\. is not a valid|object of a triple must",
            "the object is missing: a statement has a subject, a predicate and an object",
        ),
        (
            r"^[{}] is not a valid",
            "a bracket stands where a statement is expected; graphs in braces are TriG, which is not taken",
        ),
        (
            r"is not a valid predicate|predicate of a triple must",
            "the predicate is missing, or is no IRI",
        ),
        (
            r"is not a valid subject|subject of a triple must",
            "a subject is expected: an IRI in '<' and '>', a name with a prefix, or a blank node",
        ),
        (
            r"is not a valid RDF object",
            "an object is expected: an IRI, a text in quotes, a number, or a blank node",
        ),
        (r"dot is expected|followed by a dot", "the statement before has no full stop at its end"),
        (r"prefix like", "a prefix ends with ':', as in @prefix ex: <…>"),
        (r"escape", r"this is no escape; write \t \b \n \r \f \" \' \\ or \u00e9"),
        (
            r"beginning of a prefix name",
            "a text stands in double quotes here, an IRI in '<' and '>'",
        ),
        (r"datatype must be", "a datatype is written as an IRI in '<' and '>'"),
        (r"UTF-8", "the text is not UTF-8; save it as UTF-8"),
        (
            r"namespaces are required",
            "an element has no namespace; write its prefix, and xmlns:… for it",
        ),
        (
            r"rdf:ID|rdf:nodeID",
            "the value of rdf:ID or rdf:nodeID is no name of XML; it begins with a letter",
        ),
        (
            r"ill-formed|not whole|no XML",
            "the RDF/XML is not whole, or not well-formed: an element is not closed, or closed by another name; was the file cut",
        ),
        (r"entity", "an entity is not declared; write the character itself"),
        (r"[Oo]bject keys|null expected|true expected|false expected|JSON", "this is no JSON"),
        (r"@version", '"@version" can only be 1.1'),
        (
            r"(@[a-z]+) (?:value|iri)|Invalid (@[a-z]+)",
            'the value of "{}" is not what JSON-LD has there',
        ),
        (
            r"[Tt]erm definition|context|[Ee]xpansion|container",
            'the "@context" cannot be used: a term in it is not defined as JSON-LD has it',
        ),
    )
)


def sentence(message: str) -> str:
    """Return what a parser says of RDF, as a sentence without a full stop.

    >>> sentence("Parser error at line 1 between columns 1 and 3: The prefix ex: has not been declared")
    'the prefix ex: is not declared; write @prefix ex: <…> . before it'
    """
    said = _BEFORE.sub("", message)
    for theirs, ours in _SAID:
        if found := theirs.search(said):
            what = next((part for part in found.groups() if part), "")
            return ours.replace("{}", what).replace("{{", "{").replace("}}", "}")
    return "this cannot be read as RDF of its syntax"
