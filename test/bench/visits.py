"""What the server itself takes: log on, STAT, leave; three times, the first with a UIDL. Arguments: port user password-file"""
import poplib
import sys

poplib._MAXLINE = 65536
port, user, password_file = sys.argv[1:]
with open(password_file, encoding="utf-8") as file:
    password = file.readline().rstrip("\n")
for visit in range(3):
    pop3 = poplib.POP3("127.0.0.1", int(port), timeout=60)
    pop3.user(user)
    pop3.pass_(password)
    pop3.stat()
    if visit == 0:
        print(len(pop3.uidl()[1]))
    pop3.quit()
