"""The eval suites, one a file: cases, the product's answer, and how it is judged."""
