"""What an administrator would write in Python: log on, list, leave. Arguments: link port user password-file ca-file"""
import poplib
import ssl
import sys

link, port, user, password_file, ca_file = sys.argv[1:]
with open(password_file, encoding="utf-8") as file:
    password = file.readline().rstrip("\n")

if link == "ssl":
    pop3 = poplib.POP3_SSL("127.0.0.1", int(port), timeout=10, context=ssl.create_default_context(cafile=ca_file))
else:
    pop3 = poplib.POP3("127.0.0.1", int(port), timeout=10)
    if link == "tls":
        pop3.stls(ssl.create_default_context(cafile=ca_file))
pop3.user(user)
pop3.pass_(password)
messages = pop3.list()[1]
pop3.quit()
print(f"OK - {len(messages)} messages")
