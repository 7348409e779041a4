// Sends argv[3] mails of about 12 kB to the port argv[2] from a pool of five connections, and prints the seconds it took.
// No database and no templates: a peer at its best.
const nodemailer = require("nodemailer");

const port = Number(process.argv[2]);
const mails = Number(process.argv[3]);
const line = "A line of words about a subprocessor that will be replaced by another one.\n";
const pool = nodemailer.createTransport({
  host: "127.0.0.1", port, pool: true, maxConnections: 5, maxMessages: Infinity, secure: false, ignoreTLS: true,
});

async function main() {
  const began = process.hrtime.bigint();
  const sent = [];
  for (let number = 0; number < mails; number += 1) {
    sent.push(pool.sendMail({
      from: "notices@hosting.example",
      to: `dpo@c${number}.clinic.example`,
      subject: `Change of a subprocessor, ${number}`,
      text: line.repeat(40),
      html: `<p>${line.repeat(100)}</p>`,
    }));
    if (sent.length === 500) {
      await Promise.all(sent.splice(0));
    }
  }
  await Promise.all(sent);
  console.log(Number(process.hrtime.bigint() - began) / 1e9);
  pool.close();
}

main();
