read_members
done_with "$answer"
