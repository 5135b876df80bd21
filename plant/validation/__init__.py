"""The model held against measurements that nobody here made."""
