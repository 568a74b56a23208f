"""A cloud as a pod of the cluster that it serves: it also holds data, and knows the cluster's pods by signed tokens."""
