"""Parts of the correlator: what an event is a symptom of, what stands near what, what is remembered."""
