"""Requests and answers: fields, labels, paging, errors, limits of rate, faults, routes."""
