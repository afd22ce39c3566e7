package synth

import "strconv"

// toLogin gives the guesser a host with such logins, another one after 64; the kind's step sets the port.
func toLogin(port int) func(m *mix, sl *slot) {
	return func(m *mix, sl *slot) {
		sl.device, sl.peer = cicAttackers[0], m.listener(sl.conversations/64, port)
		sl.rtt /= 10
	}
}

// toService gives the scanner of services a host and a port.
func toService(m *mix, sl *slot) {
	toVictim(m, sl)
	sl.tcp.port = namedPorts[m.rng.below(len(namedPorts))]
	sl.peer = m.listener(sl.index*16+sl.conversations, sl.tcp.port)
}

// namedPorts are the ports whose services are asked for their names: FTP, SSH, Telnet, SMTP, IRC.
var namedPorts = [...]int{21, 22, 23, 25, 6667}

func (m *mix) sshStep(sl *slot) gap    { sl.tcp.port = 22; return m.connection(sl, sshMessage) }
func (m *mix) telnetStep(sl *slot) gap { sl.tcp.port = 23; return m.connection(sl, telnetMessage) }
func (m *mix) ftpStep(sl *slot) gap    { sl.tcp.port = 21; return m.connection(sl, ftpMessage) }
func (m *mix) formStep(sl *slot) gap   { sl.tcp.port = 80; return m.connection(sl, formMessage) }
func (m *mix) bannerStep(sl *slot) gap { return m.connection(sl, bannerMessage) }

var (
	users     = [...]string{"admin", "root", "user", "pi", "guest", "support"}
	passwords = [...]string{"password", "123456", "admin", "raspberry", "letmein", "qwerty", "default", "12345678", "welcome", "changeme"}
)

// sshMessage is an SSH session that ends after a wrong password (RFC 4253): versions, key exchange, then random octets as if encrypted.
func sshMessage(m *mix, sl *slot) ([]byte, side, gap) {
	p, q := sl.tcp.buf[:0], m.tmp[:0]
	switch sl.step {
	case 0:
		return append(p, "SSH-2.0-OpenSSH_7.4\r\n"...), 1, 2 * millisecond
	case 1:
		return append(p, "SSH-2.0-libssh_0.9.6\r\n"...), 0, 300 * microsecond
	case 2, 3:
		q = m.random(append(q, 20), 16)
		for _, names := range sshNames {
			q = sshString(q, names)
		}
		p = sshPacket(p, append(q, 0, 0, 0, 0, 0))
		if sl.step == 2 {
			return p, 0, 500 * microsecond
		}
		return p, 1, sl.rtt
	case 4:
		return sshPacket(p, m.random(append(q, 30, 0, 0, 0, 32), 32)), 0, 2 * millisecond
	case 5: // host key, public key, signature (RFC 8731, RFC 8709)
		q = m.random(append(sshString(append(q, 31, 0, 0, 0, 51), "ssh-ed25519"), 0, 0, 0, 32), 32)
		q = m.random(append(q, 0, 0, 0, 32), 32)
		q = m.random(append(sshString(append(q, 0, 0, 0, 83), "ssh-ed25519"), 0, 0, 0, 64), 64)
		return sshPacket(p, q), 1, sl.rtt + 5*millisecond
	case 6:
		return sshPacket(p, append(q, 21)), 0, 3 * millisecond
	case 7:
		return sshPacket(p, append(q, 21)), 1, sl.rtt
	case 8:
		sl.steps = 10 + 2*m.rng.between(1, 3) // passwords
		return m.random(p, 44), 0, millisecond
	case 9:
		return m.random(p, 44), 1, sl.rtt
	case sl.steps:
		return nil, 0, millisecond
	}
	if sl.step%2 == 0 {
		return m.random(p, 68+16*m.rng.below(3)), 0, think
	}
	return m.random(p, 52), 1, sl.rtt + 20*millisecond
}

// sshNames are the lists of a key exchange: methods, host keys, ciphers, authentication and compression of each direction, languages.
var sshNames = [...]string{
	"curve25519-sha256,ecdh-sha2-nistp256,diffie-hellman-group14-sha256", "ssh-ed25519,rsa-sha2-512,rsa-sha2-256",
	"aes128-ctr,aes192-ctr,aes256-ctr", "aes128-ctr,aes192-ctr,aes256-ctr", "hmac-sha2-256,hmac-sha2-512", "hmac-sha2-256,hmac-sha2-512",
	"none", "none", "", "",
}

func sshString(p []byte, s string) []byte { return append(be.AppendUint32(p, uint32(len(s))), s...) }

// sshPacket appends a packet that is not encrypted (RFC 4253 section 6).
func sshPacket(p, payload []byte) []byte {
	pad := 8 - (5+len(payload))%8
	if pad < 4 {
		pad += 8
	}
	p = be.AppendUint32(p, uint32(1+len(payload)+pad))
	p = append(append(p, byte(pad)), payload...)
	for range pad {
		p = append(p, 0)
	}
	return p
}

// guess appends the next password of the list.
func (m *mix) guess(p []byte) []byte { return append(p, passwords[m.rng.below(len(passwords))]...) }

func (m *mix) user(p []byte, sl *slot) []byte { return append(p, users[sl.id%uint32(len(users))]...) }

// telnetMessage is Telnet (RFC 854): options, then logins that fail.
func telnetMessage(m *mix, sl *slot) ([]byte, side, gap) {
	p := sl.tcp.buf[:0]
	const iac, do, will, wont = 255, 253, 251, 252
	switch sl.step {
	case 0:
		sl.steps = 2 + 4*m.rng.between(1, 3)
		return append(p, iac, do, 24, iac, do, 32, iac, will, 3, iac, will, 1), 1, 2 * millisecond
	case 1:
		return append(p, iac, wont, 24, iac, wont, 32, iac, do, 3, iac, do, 1), 0, 300 * microsecond
	case sl.steps + 1:
		return nil, 0, millisecond
	}
	switch (sl.step - 2) % 4 {
	case 0:
		if sl.step > 2 {
			return append(p, "\r\nLogin incorrect\r\nlogin: "...), 1, 500 * millisecond
		}
		return append(p, "camera login: "...), 1, 5 * millisecond
	case 1:
		return append(m.user(p, sl), "\r\n"...), 0, think
	case 2:
		return append(p, "Password: "...), 1, sl.rtt
	default:
		return append(m.guess(p), "\r\n"...), 0, think
	}
}

// ftpMessage is FTP (RFC 959): one login that fails, or some.
func ftpMessage(m *mix, sl *slot) ([]byte, side, gap) {
	p := sl.tcp.buf[:0]
	if sl.step == 0 {
		sl.steps = 4 * m.rng.between(1, 3)
		return append(p, "220 FTP server ready.\r\n"...), 1, 3 * millisecond
	}
	if sl.step == sl.steps+1 {
		return nil, 0, millisecond
	}
	switch sl.step % 4 {
	case 1:
		return append(m.user(append(p, "USER "...), sl), "\r\n"...), 0, think
	case 2:
		return append(p, "331 Please specify the password.\r\n"...), 1, sl.rtt
	case 3:
		return append(m.guess(append(p, "PASS "...)), "\r\n"...), 0, think
	}
	return append(p, "530 Login incorrect.\r\n"...), 1, sl.rtt + 300*millisecond
}

// formMessage posts a login.
func formMessage(m *mix, sl *slot) ([]byte, side, gap) {
	p := sl.tcp.buf[:0]
	asks, wait, end := m.exchange(sl, 2)
	switch {
	case end:
		return nil, 0, wait
	case asks:
		body := m.user(append(m.tmp[:0], "username="...), sl)
		body = m.guess(append(body, "&password="...))
		return m.headers(append(p, "POST /login.php"...), sl, "Mozilla/5.0 (Hydra)", form, append(body, "&Login=Login"...)), 0, wait
	}
	return m.answer(p, "302 Found", "", 0), 1, wait
}

// bannerMessage asks a service who it is, as a scan for vulnerable versions does.
func bannerMessage(m *mix, sl *slot) ([]byte, side, gap) {
	p := sl.tcp.buf[:0]
	port := sl.tcp.port
	if sl.step == 3 || sl.step == 2 && port != 25 && port != 6667 || sl.step == 1 && (port == 22 || port == 23) {
		return nil, 0, 2 * millisecond
	}
	if sl.step == 0 {
		switch port {
		case 21:
			p = append(p, "220 FTP server (version 6.4) ready.\r\n"...)
		case 22:
			p = append(p, "SSH-2.0-dropbear_2017.75\r\n"...)
		case 23:
			p = append(p, "\xff\xfd\x18\xff\xfd\x20\r\ncamera login: "...)
		case 25:
			p = append(p, "220 mail.local ESMTP ready\r\n"...)
		default:
			p = append(p, ":irc.local NOTICE AUTH :*** Looking up your hostname...\r\n"...)
		}
		return p, 1, 5 * millisecond
	}
	if sl.step == 1 {
		switch port {
		case 21:
			p = append(p, "HELP\r\n"...)
		case 25:
			p = append(p, "EHLO scanner.example\r\n"...)
		default:
			p = append(p, "NICK scan"...)
			p = strconv.AppendUint(p, uint64(sl.id&0xffff), 10)
			p = append(p, "\r\nUSER scan 0 * :scan\r\n"...)
		}
		return p, 0, think
	}
	if port == 25 {
		return append(p, "250-mail.local\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250 8BITMIME\r\n"...), 1, sl.rtt
	}
	return append(p, ":irc.local 001 scan :Welcome\r\n:irc.local 002 scan :Your host is irc.local, version 1.0\r\n"...), 1, sl.rtt
}
