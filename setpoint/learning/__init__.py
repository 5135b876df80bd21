"""The bundled model: corpus, training, export, score. The only place that uses torch."""
