"""How mail loops are usually written: retrieve everything and look for a subject. Arguments: port user password-file"""
import poplib
import sys

port, user, password_file = sys.argv[1:]
with open(password_file, encoding="utf-8") as file:
    password = file.readline().rstrip("\n")
pop3 = poplib.POP3("127.0.0.1", int(port), timeout=60)
pop3.user(user)
pop3.pass_(password)
found = 0
for entry in pop3.list()[1]:
    lines = pop3.retr(int(entry.split()[0]))[1]
    found += any(line.startswith(b"Subject: probe") for line in lines)
pop3.quit()
print(found)
