package synth

import "strconv"

// Attacks on the web application, each a conversation of requests and answers. Requests hold the words by which rules know such attacks,
// and nothing that would do harm.

// toApplication gives a web attack its server; two hosts attack.
func toApplication(m *mix, sl *slot) {
	sl.device, sl.peer = cicAttackers[0], cicDVWA[sl.conversations%len(cicDVWA)]
	if sl.id&3 == 0 {
		sl.device = cicAttackers[4]
	}
	sl.rtt /= 10
	sl.tcp.port = 80
}

// fromApplication is the other way: the host that was taken calls the attacker.
func fromApplication(m *mix, sl *slot) {
	toApplication(m, sl)
	sl.device, sl.peer = sl.peer, sl.device
	sl.tcp.port = 8080
}

// fromBrowser is a victim's browser that runs the attacker's script.
func fromBrowser(m *mix, sl *slot) {
	sl.device, sl.peer = m.hosts[m.rng.below(len(cicVictims))], cicAttackers[0]
	if sl.index&1 == 1 {
		sl.peer = cicAttackers[4]
	}
	sl.rtt /= 10
	sl.tcp.port = 3000
}

func (m *mix) sqlStep(sl *slot) gap     { return m.connection(sl, sqlMessage) }
func (m *mix) commandStep(sl *slot) gap { return m.connection(sl, commandMessage) }
func (m *mix) uploadingStep(sl *slot) gap {
	return m.connection(sl, uploadingMessage)
}
func (m *mix) scriptStep(sl *slot) gap  { return m.connection(sl, scriptMessage) }
func (m *mix) hookStep(sl *slot) gap    { return m.connection(sl, hookMessage) }
func (m *mix) shellStep(sl *slot) gap   { return m.connection(sl, shellMessage) }
func (m *mix) webScanStep(sl *slot) gap { return m.connection(sl, webScanMessage) }

// exchange says where a conversation of up to most requests is: whether the client speaks next and after which time, or that it ended.
func (m *mix) exchange(sl *slot, most int) (asks bool, wait gap, end bool) {
	if sl.step == 0 {
		sl.steps = 2 * m.rng.between(1, most)
		return true, 300 * microsecond, false
	}
	if sl.step == sl.steps {
		return false, 2 * millisecond, true
	}
	if sl.step%2 == 0 {
		return true, think, false
	}
	return false, sl.rtt + 3*millisecond, false
}

// headers appends what follows the path of a request, with a body if there is one.
func (m *mix) headers(p []byte, sl *slot, agent, kind string, body []byte) []byte {
	p = append(p, " HTTP/1.1\r\nHost: "...)
	p = appendIP(p, &sl.peer)
	p = append(p, "\r\nUser-Agent: "...)
	p = append(p, agent...)
	p = append(p, "\r\nAccept: */*\r\nCookie: PHPSESSID="...)
	p = strconv.AppendUint(p, uint64(sl.id), 36)
	p = append(p, "; security=low\r\n"...)
	if kind != "" {
		p = append(p, "Content-Type: "...)
		p = append(p, kind...)
		p = append(p, "\r\nContent-Length: "...)
		p = strconv.AppendInt(p, int64(len(body)), 10)
		p = append(p, "\r\n"...)
	}
	p = append(p, "\r\n"...)
	return append(p, body...)
}

// answer appends an answer with a page of n octets about something.
func (m *mix) answer(p []byte, status, about string, n int) []byte {
	p = append(p, "HTTP/1.1 "...)
	p = append(p, status...)
	p = append(p, "\r\nServer: Apache/2.4.25 (Debian)\r\nContent-Type: text/html\r\nContent-Length: "...)
	p = strconv.AppendInt(p, int64(n), 10)
	p = append(p, "\r\n\r\n"...)
	end := len(p) + n
	for len(p) < end {
		p = append(p, about...)
	}
	return p[:end]
}

const (
	form   = "application/x-www-form-urlencoded"
	sqlmap = "sqlmap/1.6 (https://sqlmap.example)"
)

var injections = [...]string{
	"1%27+OR+%271%27%3D%271", "1%27+UNION+SELECT+NULL%2CNULL--+-", "1%27+UNION+SELECT+user%2Cpassword+FROM+users--+-",
	"1%27+AND+SLEEP%281%29--+-", "1%27+ORDER+BY+3--+-", "%27", "1%27+AND+1%3D2--+-",
}

// sqlMessage is an injection into the query of a page.
func sqlMessage(m *mix, sl *slot) ([]byte, side, gap) {
	p := sl.tcp.buf[:0]
	asks, wait, end := m.exchange(sl, 6)
	switch {
	case end:
		return nil, 0, wait
	case asks:
		p = append(p, "GET /vulnerabilities/sqli/?id="...)
		p = append(p, injections[m.rng.below(len(injections))]...)
		return m.headers(append(p, "&Submit=Submit"...), sl, sqlmap, "", nil), 0, wait
	}
	return m.answer(p, "200 OK", "<pre>ID: 1<br />First name: admin<br />Surname: admin</pre>", m.rng.between(300, 1_300)), 1, wait
}

var commands = [...]string{
	"127.0.0.1%3Bid", "127.0.0.1%26%26uname+-a", "127.0.0.1%7Cls", "127.0.0.1%3Bcat+%2Fetc%2Fhostname", "127.0.0.1%3Bwhoami",
}

// commandMessage posts a shell's word to the page that pings.
func commandMessage(m *mix, sl *slot) ([]byte, side, gap) {
	p := sl.tcp.buf[:0]
	asks, wait, end := m.exchange(sl, 5)
	switch {
	case end:
		return nil, 0, wait
	case asks:
		body := append(m.tmp[:0], "ip="...)
		body = append(body, commands[m.rng.below(len(commands))]...)
		body = append(body, "&Submit=Submit"...)
		return m.headers(append(p, "POST /vulnerabilities/exec/"...), sl, agents[1], form, body), 0, wait
	}
	return m.answer(p, "200 OK", "<pre>PING 127.0.0.1: 56 data bytes\nuid=33(www-data) gid=33(www-data)</pre>\n", m.rng.between(900, 2_400)), 1, wait
}

// uploadingMessage uploads a file that calls itself a picture.
func uploadingMessage(m *mix, sl *slot) ([]byte, side, gap) {
	p := sl.tcp.buf[:0]
	asks, wait, end := m.exchange(sl, 3)
	switch {
	case end:
		return nil, 0, wait
	case asks && sl.step%4 == 2: // look whether it is there
		return m.headers(append(p, "GET /hackable/uploads/picture.php"...), sl, agents[1], "", nil), 0, wait
	case asks:
		const boundary = "----form7d81f2"
		body := append(m.tmp[:0], "--"+boundary+"\r\nContent-Disposition: form-data; name=\"uploaded\"; filename=\"picture.php\"\r\n"+
			"Content-Type: image/png\r\n\r\n<?php /* nothing */ ?>"...)
		for range m.rng.between(4, 60) {
			body = append(body, "<!-- filler -->\n"...)
		}
		body = append(body, "\r\n--"+boundary+"--\r\n"...)
		return m.headers(append(p, "POST /vulnerabilities/upload/"...), sl, agents[1], "multipart/form-data; boundary="+boundary, body), 0, wait
	}
	return m.answer(p, "200 OK", "<pre>../../hackable/uploads/picture.php succesfully uploaded!</pre>", m.rng.between(200, 1_800)), 1, wait
}

var scripts = [...]string{
	"%3Cscript%3Ealert%281%29%3C%2Fscript%3E", "%3Cimg+src%3Dx+onerror%3Dalert%281%29%3E", "%3Csvg+onload%3Dalert%281%29%3E",
	"%3Cscript%3Ealert%28document.cookie%29%3C%2Fscript%3E",
}

// scriptMessage puts a script into a page.
func scriptMessage(m *mix, sl *slot) ([]byte, side, gap) {
	p := sl.tcp.buf[:0]
	asks, wait, end := m.exchange(sl, 5)
	switch {
	case end:
		return nil, 0, wait
	case asks && sl.id&7 < 3:
		body := append(m.tmp[:0], "txtName=guest&mtxMessage="...)
		body = append(body, scripts[m.rng.below(len(scripts))]...)
		return m.headers(append(p, "POST /vulnerabilities/xss_s/"...), sl, agents[0], form, append(body, "&btnSign=Sign"...)), 0, wait
	case asks:
		p = append(p, "GET /vulnerabilities/xss_r/?name="...)
		return m.headers(append(p, scripts[m.rng.below(len(scripts))]...), sl, agents[0], "", nil), 0, wait
	}
	return m.answer(p, "200 OK", "<pre>Hello <script>alert(1)</script></pre>", m.rng.between(400, 1_800)), 1, wait
}

// hookMessage is a browser that loads a script and then asks every second for what to do.
func hookMessage(m *mix, sl *slot) ([]byte, side, gap) {
	p := sl.tcp.buf[:0]
	asks, wait, end := m.exchange(sl, 20)
	switch {
	case end:
		return nil, 0, wait
	case asks && sl.step == 0:
		return m.headers(append(p, "GET /hook.js"...), sl, agents[2], "", nil), 0, wait
	case asks:
		p = append(p, "GET /dh?bh="...)
		p = strconv.AppendUint(p, m.rng.next(), 36)
		p = append(p, "&sid="...)
		p = strconv.AppendInt(p, int64(sl.step), 10)
		return m.headers(append(p, "&pc=1&pt=1&d=W10"...), sl, agents[2], "", nil), 0, wait
	case sl.step == 1:
		return m.answer(p, "200 OK", "/* a hook that does nothing */\n", m.rng.between(5_000, 7_500)), 1, wait
	}
	return m.answer(p, "200 OK", "/* nothing to do */\n", m.rng.between(20, 400)), 1, wait
}

// shellMessage is a host that was taken, which asks the attacker for commands and posts what they said.
func shellMessage(m *mix, sl *slot) ([]byte, side, gap) {
	p := sl.tcp.buf[:0]
	asks, wait, end := m.exchange(sl, 12)
	switch {
	case end:
		return nil, 0, wait
	case asks && sl.step%4 == 0:
		return m.headers(append(p, "GET /cmd"...), sl, agents[4], "", nil), 0, wait
	case asks:
		body := m.tmp[:0]
		for range m.rng.between(1, 20) {
			body = append(body, "www-data pts/0 2023-02-13\n"...)
		}
		return m.headers(append(p, "POST /out"...), sl, agents[4], "text/plain", body), 0, wait
	}
	return m.answer(p, "200 OK", "uptime\n", 7*m.rng.between(0, 4)), 1, wait
}

var paths = [...]string{
	"/", "/index.php", "/admin/", "/login.php", "/robots.txt", "/phpmyadmin/", "/cgi-bin/status", "/server-status", "/.git/HEAD",
	"/wp-login.php", "/config.bak", "/manager/html", "/api/v1/version", "/setup.cgi", "/xmlrpc.php",
}

// webScanMessage asks for what is often there and should not be.
func webScanMessage(m *mix, sl *slot) ([]byte, side, gap) {
	p := sl.tcp.buf[:0]
	asks, wait, end := m.exchange(sl, 8)
	switch {
	case end:
		return nil, 0, wait
	case asks:
		p = append(p, "GET "...)
		return m.headers(append(p, paths[m.rng.below(len(paths))]...), sl, "Mozilla/5.0 (compatible; Nmap Scripting Engine)", "", nil), 0, wait
	case sl.id>>(sl.step&15)&3 == 0:
		return m.answer(p, "200 OK", "<li>a page</li>", m.rng.between(300, 3_000)), 1, wait
	}
	return m.answer(p, "404 Not Found", "<h1>Not Found</h1>", 180), 1, wait
}
