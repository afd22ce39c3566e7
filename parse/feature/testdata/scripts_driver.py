# Runs pcap_evaluation of the dataset authors' Feature_extraction.py, from the folder that is the first argument, on
# captures. Each line on standard input is a job in JSON: {"pcap", "csv" (without its ending), "rows" of a window, "scapy"
# (let the script read the capture with scapy too, whose answer it does not use)}. Each line on standard output is
# {"error"}: the name of the exception that the job ended with, "" for none.
import importlib
import io
import json
import os
import sys
import types
import warnings


class Anything(types.ModuleType):
    """Stands for a module that is imported but whose results reach no output."""

    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        part = Anything(name)
        setattr(self, name, part)
        return part

    def __call__(self, *args, **kwargs):
        return Anything('answer')


def lacking(*names):
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError:
            module = sys.modules[name] = Anything(name)
            if '.' in name:
                setattr(sys.modules[name.rpartition('.')[0]], name.rpartition('.')[2], module)


class Nothings:
    """A capture as scapy would list it, of packets that are nothing."""

    def __getitem__(self, i):
        return None


def main():
    warnings.simplefilter('ignore')
    folder = sys.argv[1]
    out = sys.stdout
    sys.stdout = sys.stderr = io.StringIO()
    sys.path.insert(0, folder)
    lacking('tqdm', 'psutil', 'scipy', 'scipy.stats', 'scapy', 'scapy.all')
    if isinstance(sys.modules['scapy.all'], Anything):
        sys.modules['scapy.all'].scapy = sys.modules['scapy']
        sys.modules['scapy.all'].__all__ = ['scapy']
    with open(os.path.join(folder, 'Feature_extraction.py')) as f:
        source = f.read()
    constant = 'n_rows = 10\n'
    assert constant in source
    scripts = {}
    for line in sys.stdin:
        job = json.loads(line)
        rows = job['rows']
        if rows not in scripts:
            text = source.replace(constant, 'n_rows = %d\n' % rows)
            scripts[rows] = {'__name__': 'Feature_extraction_%d' % rows}
            exec(compile(text, 'Feature_extraction.py', 'exec'), scripts[rows])
            scripts[rows]['real_rdpcap'] = scripts[rows].get('rdpcap')
        names = scripts[rows]
        names['rdpcap'] = names['real_rdpcap'] if job['scapy'] else lambda path: Nothings()
        error = ''
        try:
            names['Feature_extraction']().pcap_evaluation(job['pcap'], job['csv'])
        except Exception as e:
            error = type(e).__name__ + ': ' + str(e)
        sys.stdout.seek(0)
        sys.stdout.truncate()
        print(json.dumps({'error': error[:200]}), file=out, flush=True)


main()
