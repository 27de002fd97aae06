done_with "$(print_facts)"
