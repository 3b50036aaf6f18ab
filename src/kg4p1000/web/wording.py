"""The words of the pages of the reference, in its three languages."""

from __future__ import annotations

LANGUAGES = ("en", "fr", "es")
NAMES = {"en": "English", "fr": "français", "es": "español"}

#: Key to what it says in English, French and Spanish.
_WORDS = {
    "search": ("Search", "Chercher", "Buscar"),
    "search_hint": (
        "Search the terms and codes", "Chercher dans les termes et les codes", "Buscar en los términos y códigos"),
    "found": ("terms and codes found", "termes et codes trouvés", "términos y códigos encontrados"),
    "nothing": (
        "Nothing has all these words.", "Rien ne contient tous ces mots.", "Nada contiene todas estas palabras."),
    "modules": ("Modules", "Modules", "Módulos"),
    "module": ("module", "module", "módulo"),
    "classes": ("Classes", "Classes", "Clases"),
    "properties": ("Properties", "Propriétés", "Propiedades"),
    "annotations": ("Annotations", "Annotations", "Anotaciones"),
    "lists": ("Code lists", "Listes de codes", "Listas de códigos"),
    "domain": ("starts at", "part de", "parte de"),
    "range": ("leads to", "mène à", "lleva a"),
    "above": ("is a kind of", "est une sorte de", "es un tipo de"),
    "below": ("kinds of it", "ses sortes", "sus tipos"),
    "inverse": ("inverse", "inverse", "inversa"),
    "disjoint": ("shares nothing with", "n'a rien en commun avec", "no tiene nada en común con"),
    "chain": ("follows from", "découle de", "se sigue de"),
    "starts": ("properties that start here", "propriétés qui en partent", "propiedades que parten de aquí"),
    "leads": ("properties that lead here", "propriétés qui y mènent", "propiedades que llevan aquí"),
    "queries": ("asked in", "demandé dans", "se pregunta en"),
    "source": ("source", "source", "fuente"),
    "in_module": ("Defined in the module", "Défini dans le module", "Definido en el módulo"),
    "place": ("Place in the ontology", "Place dans l'ontologie", "Lugar en la ontología"),
    "tongues": ("Labels and definitions", "Libellés et définitions", "Etiquetas y definiciones"),
    "mappings": (
        "In other vocabularies", "Dans d'autres vocabulaires", "En otros vocabularios"),
    "confidence": ("confidence", "confiance", "confianza"),
    "no_mappings": (
        "No mapping to another vocabulary is recorded.",
        "Aucune correspondance avec un autre vocabulaire n'est enregistrée.",
        "No consta ninguna correspondencia con otro vocabulario."),
    "questions": (
        "Stored questions that use it", "Questions enregistrées qui l'emploient",
        "Preguntas guardadas que lo usan"),
    "no_questions": (
        "No stored question names it.", "Aucune question enregistrée ne le nomme.",
        "Ninguna pregunta guardada lo nombra."),
    "contents": ("On this page", "Sur cette page", "En esta página"),
    "things": ("Things of this kind in the graph", "Objets de ce type dans le graphe", "Cosas de este tipo en el grafo"),
    "everything": (
        "What else the graph says of it", "Ce que le graphe en dit d'autre", "Qué más dice el grafo de él"),
    "list_them": ("list them", "les énumérer", "enumerarlas"),
    "ask": ("Ask about it in SPARQL", "Interroger en SPARQL", "Preguntar en SPARQL"),
    "diagram": ("Diagram", "Schéma", "Diagrama"),
    "in_words": ("The diagram in words", "Le schéma en mots", "El diagrama en palabras"),
    "unreviewed": (
        "Labels and definitions in this language are the developers' and nobody has reviewed them.",
        "Les libellés et définitions dans cette langue sont des développeurs et n'ont été relus par personne.",
        "Las etiquetas y definiciones en esta lengua son de los desarrolladores y nadie las ha revisado."),
    "language": ("Language", "Langue", "Lengua"),
    "deprecated": ("is deprecated", "est obsolète", "está obsoleto"),
    "replaced": ("replaced by", "remplacé par", "sustituido por"),
    "version": ("version", "version", "versión"),
    "versions": ("Released versions", "Versions publiées", "Versiones publicadas"),
    "as_released": (
        "This is the ontology as it was released in version", "Voici l'ontologie telle que publiée dans la version",
        "Esta es la ontología tal como se publicó en la versión"),
    "current": ("The ontology now", "L'ontologie actuelle", "La ontología actual"),
    "all_modules": ("All modules", "Tous les modules", "Todos los módulos"),
    "skip": ("Skip to the content", "Aller au contenu", "Ir al contenido"),
    "main": ("Main", "Principale", "Principal"),
    "nav_home": ("Home", "Accueil", "Inicio"),
    "nav_query": ("Query", "Requête", "Consulta"),
    "nav_questions": ("Questions", "Questions", "Preguntas"),
    "nav_stored": ("Stored queries", "Requêtes enregistrées", "Consultas guardadas"),
    "nav_overlaps": ("Overlaps", "Recoupements", "Solapamientos"),
    "nav_ontology": ("Ontology", "Ontologie", "Ontología"),
    "nav_graphs": ("Graphs", "Graphes", "Grafos"),
    "nav_downloads": ("Downloads", "Téléchargements", "Descargas"),
}  # fmt: skip

#: What a term is.
KINDS = {
    "class": ("class", "classe", "clase"),
    "object property": ("property to a thing", "propriété vers un objet", "propiedad hacia una cosa"),
    "data property": ("property to a value", "propriété vers une valeur", "propiedad hacia un valor"),
    "annotation": ("annotation", "annotation", "anotación"),
    "functional": ("at most one value", "une valeur au plus", "un valor como máximo"),
    "symmetric": ("in both directions", "dans les deux sens", "en ambos sentidos"),
    "transitive": ("carries on", "se transmet", "se transmite"),
}  # fmt: skip

#: How a mapping is told.
PREDICATES = {
    "skos:exactMatch": ("is the same as", "est identique à", "es lo mismo que"),
    "skos:closeMatch": ("is close to", "est proche de", "es cercano a"),
    "skos:broadMatch": ("is narrower than", "est plus étroit que", "es más estrecho que"),
    "skos:narrowMatch": ("is broader than", "est plus large que", "es más amplio que"),
    "skos:relatedMatch": ("is related to", "est lié à", "se relaciona con"),
    "dcterms:subject": ("is about", "a pour sujet", "trata de"),
    "owl:equivalentClass": ("is the same class as", "est la même classe que", "es la misma clase que"),
    "rdfs:subClassOf": ("is a kind of", "est une sorte de", "es un tipo de"),
    "rdfs:subPropertyOf": ("is a kind of", "est une sorte de", "es un tipo de"),
}  # fmt: skip


def said(tongue: str) -> dict[str, str]:
    """All words of a language by key."""
    place = LANGUAGES.index(tongue)
    return {key: texts[place] for key, texts in (_WORDS | KINDS | PREDICATES).items()}
